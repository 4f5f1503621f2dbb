-- The requests that wrk sends for benchmarks/client.py, and its result as one line of JSON.
--
-- What to send comes from the environment, so that no credential is on a command line. Requests are put together
-- from ready parts: the client must never be what is measured.

local kind = os.getenv("BENCH_KIND")
local authorization = os.getenv("BENCH_AUTHORIZATION")
local names = tonumber(os.getenv("BENCH_NAMES") or "1") -- how many files there are to read, or to move about
local size = tonumber(os.getenv("BENCH_SIZE") or "0") -- bytes of a body, or of a range
local whole = tonumber(os.getenv("BENCH_WHOLE") or "0") -- bytes of the file that ranges are taken from

local LAG = 1000 -- requests between two on the same file: more than are ever on their way at once
local count = -2 -- wrk asks for one more beforehand, to look at it
local make = {}

local function request_of(method, fields, body)
    local after = " HTTP/1.1\r\nHost: " .. wrk.host .. ":" .. wrk.port .. "\r\nAuthorization: " .. authorization .. "\r\n"
    return method .. " " .. wrk.path, after .. fields .. "\r\n" .. (body or "")
end

function init()
    math.randomseed(7)
    local body = string.rep("0123456789abcdef", math.ceil(size / 16)):sub(1, size)
    local get, got = request_of("GET", "")
    local put, with_body = request_of("PUT", "Content-Length: " .. size .. "\r\n", body)
    local mkcol, made = request_of("MKCOL", "")
    local delete, deleted = request_of("DELETE", "")
    local move, destination = request_of("MOVE", "Destination: " .. wrk.scheme .. "://" .. wrk.host .. ":" .. wrk.port .. wrk.path)
    local find, found = request_of("PROPFIND", "Depth: 0\r\n")

    make.get = function(n) return get .. n % names .. got end
    -- Files of a tree of folders with 1,000 each, one here and one there.
    make.tree = function(n)
        local file = n * 7919 % names
        return get .. math.floor(file / 1000) .. "/" .. file % 1000 .. got
    end
    make.put = function(n) return put .. n .. with_body end
    make.mkcol = function(n) return mkcol .. n .. "/" .. made end
    make.propfind = function(n) return find .. n % names .. found end
    make.range = function()
        local first = math.random(0, whole - size)
        return get .. got:sub(1, -3) .. "Range: bytes=" .. first .. "-" .. first + size - 1 .. "\r\n\r\n"
    end
    -- Each of the files is moved again and again: from its name in one generation to that in the next.
    make.move = function(n)
        local file, generation = n % names, math.floor(n / names)
        local target = destination:gsub("\r\n$", "")
        return move .. file .. "-" .. generation .. target .. file .. "-" .. generation + 1 .. "\r\n\r\n"
    end
    -- Files are put, and deleted a little later.
    make.delete = function(n)
        if n < LAG then return put .. n .. with_body end
        local pair = math.floor((n - LAG) / 2)
        if n % 2 == 0 then return put .. pair + LAG .. with_body end
        return delete .. pair .. deleted
    end
end

function request()
    count = count + 1
    return make[kind](count)
end

function done(summary, latency)
    local errors = summary.errors
    local failed = errors.connect + errors.read + errors.write + errors.timeout + errors.status
    io.write(string.format(
        '{"requests": %d, "seconds": %.6f, "bytes": %d, "failed": %d, "median_ms": %.3f, "p99_ms": %.3f}\n',
        summary.requests, summary.duration / 1e6, summary.bytes, failed,
        latency:percentile(50) / 1e3, latency:percentile(99) / 1e3
    ))
end
