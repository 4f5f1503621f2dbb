"""The catalogue: what people paste and download does what it says, whatever stands in a name or an address.

Commands are run by a real shell in which every program only writes down what it was called with.
"""

from __future__ import annotations

import configparser
import plistlib
import re
import subprocess
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from davserver.accounts.connecting import Connecting
from davserver.accounts.health import Sign
from davserver.accounts.programs import IN_TERMINAL, PROGRAMS, program, quoting
from davserver.accounts.programs.apps import BOOKMARK_NAME
from davserver.accounts.programs.base import Drive, File, Program
from davserver.accounts.programs.linux import DAVFS2, GNOME, KDE, MOUNT_POINT, davfs2_secret
from davserver.accounts.programs.linux import UNIT_NAME as MOUNT_UNIT
from davserver.accounts.programs.rclone import CONFIG_NAME, RCLONE, UNIT_NAME
from davserver.accounts.programs.windows import SCRIPT_NAME, WINDOWS
from davserver.accounts.service import USERNAME_PATTERN
from davserver.crypto.obscuring import RCLONE_KEY
from davserver.crypto.primitives import aes_ctr
from davserver.errors import NotFound
from davserver.model import Scope
from davserver.vault.paths import VaultPath
from tests.certificates import one_pair

TOKEN = "ew1-0123456789000g40r40m30e209185gr38e1w8124gkecvewx"
NASTY = "a b'c\"d;e$(touch owned)`touch owned`&touch owned|%PATH%!^#\\"
"""What no host's name and no user's has in it, and what a careless command would do with it."""

PLAIN = Drive("https://drive.example/dav/", "alice", TOKEN)
NUMBER = Drive("https://[2001:db8::1]:8443/dav/", "a.b-c_d@example+x", TOKEN)
HTTP = Drive("http://127.0.0.1:8080/dav/", "alice", TOKEN)
HOSTILE = Drive(
    f"https://{NASTY}/dav/",
    "alice",
    TOKEN,
    certificate=f"/srv/{NASTY}/own {NASTY}.pem",
    certificate_pem=b"PEM",
)
DRIVES = {"plain": PLAIN, "number": NUMBER, "http": HTTP, "hostile": HOSTILE}

CALLED = (
    *("rclone", "sudo", "tee", "mkdir", "mount_webdav", "gio", "systemctl", "curl", "cat"),
    *("date", "id", "security", "mount", "cp", "apt", "umount", "touch", "sed"),
)

each_drive = pytest.mark.parametrize("drive", DRIVES.values(), ids=DRIVES)


@dataclass(frozen=True)
class Call:
    """How a program was called."""

    name: str
    words: tuple[str, ...]


class Shell:
    """A shell in which programs write down how they are called, and pass on what they are given."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._programs = folder / "programs"
        self._programs.mkdir()
        self._home = folder / "home"
        self._home.mkdir()
        for name in CALLED:
            script = self._programs / name
            script.write_text(
                "#!/bin/sh\n"
                f'printf "%s\\0" {name} "$@" "\n" >> "{folder}/calls"\n'  # at once: pipes have several
                '[ -t 0 ] || while read -r line; do printf "%s\\n" "$line"; done\n'
            )
            script.chmod(0o755)

    def run(self, command: str) -> tuple[list[Call], str]:
        """The calls of one command, and what came out of it."""
        (self._folder / "calls").write_text("")
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=self._home,
            env={"PATH": str(self._programs), "HOME": str(self._home)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert not done.stderr, done.stderr
        assert list(self._home.iterdir()) == []
        lines = (self._folder / "calls").read_text().split("\0\n\0")[:-1]
        return [
            Call(name, tuple(words)) for name, *words in (line.split("\0") for line in lines)
        ], done.stdout


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A shell."""
    return Shell(tmp_path)


def commands(entry: Program, drive: Drive) -> Iterator[tuple[str, str]]:
    """Every command of an entry with its name."""
    for step in entry.steps(drive):
        yield from ((one.name, one.text) for one in step.commands)


def named(entry: Program, drive: Drive, name: str) -> str:
    """One command."""
    return dict(commands(entry, drive))[name]


def files(entry: Program, drive: Drive) -> dict[str, bytes]:
    """What can be downloaded."""
    return {one.name: one.content for step in entry.steps(drive) for one in step.files}


# ── the entries
def test_every_entry_can_be_shown() -> None:
    """Keys are addresses and are unique; there is something to do; a folder that is suggested can be made."""
    assert len({one.key for one in PROGRAMS}) == len(PROGRAMS) == 12
    for one in PROGRAMS:
        assert re.fullmatch("[a-z0-9]+", one.key)
        assert program(one.key) is one
        assert one.name
        assert one.summary
        assert not VaultPath.parse(one.preset.folder).parts[1:]
        assert one.preset.scopes == Scope.FULL
        for drive in DRIVES.values():
            assert len(one.steps(drive)) >= 2
    with pytest.raises(NotFound):
        program("floppy")


@each_drive
def test_the_app_password_is_where_it_belongs(drive: Drive) -> None:
    """Every entry leads it into the program, and no sentence holds it."""
    for one in PROGRAMS:
        steps = one.steps(drive)
        assert not any(TOKEN in step.shown or drive.url in step.text for step in steps)
        told = [setting.secret for step in steps for setting in step.settings]
        in_commands = any(TOKEN in text for _, text in commands(one, drive))
        assert in_commands or any(told) or one.key == "macos"
        assert [
            step for step in steps for setting in step.settings if (setting.value == TOKEN) != setting.secret
        ] == []


def test_what_needs_https_is_not_shown_without() -> None:
    """No command sends the app password over plain http to Windows' own client, to Finder, or by davfs2."""
    names = {name for name, _ in commands(WINDOWS, HTTP)}
    assert names & {"windows_net_use", "windows_service"} == set()
    assert {one.key for one in PROGRAMS if one.only_https} == {"macos", "davfs2"}
    ways = Connecting().ways(HTTP.url, "alice", TOKEN)
    assert [way.program for way in ways] == [RCLONE]


def test_the_terminal_shows_what_the_site_shows() -> None:
    """The same commands, from the same entries."""
    for way in Connecting().ways(PLAIN.url, "alice", TOKEN):
        shown = dict(commands(way.program, PLAIN))
        shown.pop("", None)
        assert way.commands == shown
        assert way.program in IN_TERMINAL


def test_whoever_has_windows_is_sent_to_its_own_page() -> None:
    """The commands of the other one are for other shells."""
    first = RCLONE.steps(PLAIN)[0]
    assert first.limits
    assert first.text.startswith(f"On Windows choose {WINDOWS.name} among the programs")


def test_the_limits_of_windows_are_said() -> None:
    """Its own client is given up, has two limits, and sends no password over plain http."""
    (limits,) = [step.text for step in WINDOWS.steps(PLAIN) if step.limits]
    for words in ("deprecated", "50 MB", "FileSizeLimitInBytes", "1,000,000 bytes", "BasicAuthLevel"):
        assert words in limits
    steps = [one.name for step in WINDOWS.steps(PLAIN) for one in step.commands]
    assert steps.index("windows_mount") < steps.index("windows_net_use")


def test_whoever_is_seen_to_do_nothing_is_not_offered() -> None:
    """Each program comes in, and what is left out of the page that watches is not all of it."""
    for one in PROGRAMS:
        assert one.unseen < {Sign.LISTED, Sign.READ, Sign.KEPT_TIMES}
    assert RCLONE.unseen == set()
    assert DAVFS2.unseen == {Sign.READ, Sign.KEPT_TIMES}


# ── addresses
def test_an_address_has_nothing_in_it_that_a_shell_knows() -> None:
    """What no host's name has in it is percent-encoded; what one has stays."""
    assert re.fullmatch(r"[A-Za-z0-9:/@%._~\[\]-]+", HOSTILE.url)
    assert (PLAIN.url, NUMBER.url) == ("https://drive.example/dav/", "https://[2001:db8::1]:8443/dav/")
    assert (PLAIN.host, PLAIN.port, PLAIN.path) == ("drive.example", 443, "/dav/")
    assert (NUMBER.host, NUMBER.port) == ("2001:db8::1", 8443)
    assert HTTP.port == 8080


@each_drive
def test_schemes_of_file_managers(drive: Drive) -> None:
    """GNOME's and KDE's, with the user's name, which may have an @ in it."""
    for entry, schemes in ((GNOME, ("davs", "dav")), (KDE, ("webdavs", "webdav"))):
        address = next(setting.value for step in entry.steps(drive) for setting in step.settings)
        parts = urlsplit(address)
        assert parts.scheme == schemes[0 if drive.https else 1]
        assert unquote(parts.username or "") == drive.username
        assert address.endswith(drive.url.partition("://")[2])


# ── shells
@each_drive
def test_no_command_does_anything_else(shell: Shell, drive: Drive) -> None:
    """Every command for sh is run: it calls what it names, and nothing that stands in a value."""
    for entry in PROGRAMS:
        if entry is WINDOWS:
            continue
        for _, text in commands(entry, drive):
            calls, _ = shell.run(text.replace("/mnt/sealdav/", "").replace("> sealdav-test.txt &&", "|"))
            assert calls
            assert {one.name for one in calls} <= set(CALLED) - {"touch"}


@each_drive
def test_rclone_is_told_just_this(shell: Shell, drive: Drive) -> None:
    """Address, user name, app password; the certificate's name is one word."""
    calls, _ = shell.run(named(RCLONE, drive, "config"))
    config = ("config", "create", "sealdav", "webdav", f"url={drive.url}", "vendor=owncloud")
    assert calls == [Call("rclone", (*config, f"user={drive.username}", f"pass={TOKEN}", "--obscure"))]
    (copied,), _ = shell.run(named(RCLONE, drive, "copy"))
    assert copied.words[-2:] == (("--ca-cert", drive.certificate) if drive.certificate else copied.words[-2:])
    assert ("--ca-cert" in copied.words) == bool(drive.certificate)


@each_drive
def test_davfs2_is_told_just_this(shell: Shell, drive: Drive) -> None:
    """One line of three words in its file of secrets, whatever its own rules of quoting make of it."""
    calls, written = shell.run(named(DAVFS2, drive, "davfs2_secret").replace(">/dev/null", ""))
    assert calls[-1] == Call("sudo", ("tee", "-a", "/etc/davfs2/secrets"))
    (line,) = written.splitlines()
    assert davfs2_words(line) == [drive.url, drive.username, TOKEN]
    (*_, mount), _ = shell.run(named(DAVFS2, drive, "davfs2_mount"))
    assert mount.words[-2:] == (drive.url, "/mnt/sealdav")


def davfs2_words(line: str) -> list[str]:
    """As davfs2.conf(5) says that its files are read."""
    words = re.findall(r'(?:\\.|[^\s"\\#])+', line)
    return [re.sub(r"\\(.)", r"\1", word) for word in words]


@pytest.mark.parametrize("text", ["plain", "a b", 'q"q', "back\\slash", "#x", "tab\there", NASTY])
def test_a_field_of_davfs2_is_one_field(text: str) -> None:
    """Blanks, quotes, backslashes and the sign of a comment."""
    assert davfs2_words(f"{quoting.davfs2(text)} {quoting.davfs2('x')}") == [text, "x"]


# ── Windows
def windows_words(line: str, *, batch: bool) -> list[str]:
    """As cmd and then the program itself read a line; nothing that cmd acts on stands outside of quotes."""
    if batch:
        line = line.replace("%~dp0", "C:\\here\\")
        assert re.fullmatch(r"(?:[^%]|%%)*", line), line
        line = line.replace("%%", "%")
    words: list[str] = []
    for match in re.finditer(r'(?:[^\s"]|"[^"]*")+', line):
        word = match[0]
        assert not re.search(r"[&|<>^()]", re.sub(r'"[^"]*"', "", word)), line
        inside = re.sub(r'"([^"]*)"', r"\1", word)
        words.append(
            re.sub(r"(\\+)$", lambda found: found[1][: len(found[1]) // 2], inside) if '"' in word else inside
        )
    return words


@each_drive
def test_the_script_for_windows(drive: Drive) -> None:
    """Lines of CR LF; rclone is told just this; a percent sign is one; the certificate lies beside it."""
    script = files(WINDOWS, drive)[SCRIPT_NAME].decode()
    assert script.count("\r\n") == script.count("\n") == script.count("\r")
    lines = script.split("\r\n")
    assert lines[0] == "@echo off"
    assert "setlocal DisableDelayedExpansion" in lines
    (config,) = [line.removesuffix(" >nul") for line in lines if line.startswith("rclone config create")]
    words = windows_words(config, batch=True)
    assert words[3:] == [
        *("sealdav", "webdav", f"url={drive.url}", "vendor=owncloud"),
        *(f"user={drive.username}", f"pass={TOKEN}", "--obscure"),
    ]
    (mount,) = [line for line in lines if line.startswith("rclone mount")]
    words = windows_words(mount, batch=True)
    assert words[:4] == ["rclone", "mount", "sealdav:", "X:"]
    if drive.certificate:
        assert words[-2] == "--ca-cert"
        assert words[-1].startswith("C:\\here\\own a b'cd;e$(touch owned)")
    labels = {line.partition(" ")[2] for line in lines if line.startswith("goto ")}
    labels |= set(re.findall(r"goto (\w+)", script))
    assert labels - {""} <= {line[1:] for line in lines if line.startswith(":")}


@each_drive
def test_lines_for_windows(drive: Drive) -> None:
    """What is pasted into cmd or PowerShell is words, and nothing that either would act on."""
    for _, text in commands(WINDOWS, drive):
        words = windows_words(text, batch=False)
        assert len(words) >= 3
        outside = re.sub(r'"[^"]*"', "", text)
        assert not re.search(r"[;&|`$()<>']", outside), text
        assert not re.search("[`$\u201c-\u201e]", text), "PowerShell acts on it inside of quotes, too"
    assert windows_words(named(WINDOWS, PLAIN, "windows_net_use"), batch=False) == [
        *("net", "use", "X:", PLAIN.url, TOKEN, "/user:alice")
    ]


@pytest.mark.parametrize(
    "text",
    ["own $(touch owned).crt", "own `touch owned.crt", "own $HOME", "a\u201d; touch owned", "a\u201eb c"],
)
def test_powershell_finds_nothing_to_do_in_a_word(text: str) -> None:
    """Between its double quotes it would run what is after a dollar sign; any such quote ends them."""
    written = quoting.windows(text)
    assert re.fullmatch('"[^"$`\u201c-\u201e]*"', written)


@pytest.mark.parametrize("text", ["a b\\", "a b\\\\", "\\", 'a"b', "a\nb c", "a&b", "%x%", "x"])
def test_a_word_for_windows_is_one_word(text: str) -> None:
    """No backslash takes the meaning of the quote behind it away; what cannot be written is left out."""
    written = quoting.windows(text)
    assert not re.search(r'(?<!\\)(?:\\\\)*\\"', written)
    kept = text.replace('"', "").replace("\n", "")
    assert windows_words(f"{written} x", batch=False) == [kept, "x"]
    if "%" in text:
        assert windows_words(quoting.batch(text), batch=True) == [kept]


def test_the_name_of_a_service_is_not_taken_for_a_command_of_powershell() -> None:
    """There `sc` writes a file."""
    assert named(WINDOWS, PLAIN, "windows_service") == "sc.exe start webclient"


# ── files
@each_drive
def test_a_configuration_for_rclone(drive: Drive) -> None:
    """One section with what the commands would have made; the password is in rclone's own form."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(files(RCLONE, drive)[CONFIG_NAME].decode())
    assert parser.sections() == ["sealdav"]
    values = dict(parser["sealdav"])
    hidden = urlsafe_b64decode(values.pop("pass") + "=" * 3)
    assert values == {"type": "webdav", "url": drive.url, "vendor": "owncloud", "user": drive.username}
    assert aes_ctr(RCLONE_KEY, hidden[:16], hidden[16:]).decode() == TOKEN
    assert files(RCLONE, drive)[CONFIG_NAME] != files(RCLONE, drive)[CONFIG_NAME]  # another counter each time


@each_drive
def test_a_unit_for_systemd(drive: Drive) -> None:
    """It holds no password; a certificate's name is one argument, whatever it is made of."""
    unit = files(RCLONE, drive)[UNIT_NAME].decode()
    assert TOKEN not in unit
    (start,) = re.findall(r"^ExecStart=(.*)$", unit, re.MULTILINE)
    words = systemd_words(start)
    assert words[:4] == ["rclone", "mount", "sealdav:", "HOME/drive"]
    assert ("--ca-cert" in words) == bool(drive.certificate)
    if drive.certificate:
        assert words[-1] == drive.certificate


def test_the_unit_comes_back_after_rclone_was_killed() -> None:
    """What is left of its mount is taken off before each start, even from under a program that uses it.

    In vain where there is none, and before the folder is made: that of a dead mount cannot be looked at.
    """
    lines = files(RCLONE, PLAIN)[UNIT_NAME].decode().splitlines()
    before = [line.partition("=")[2] for line in lines if line.startswith("ExecStartPre=")]
    assert before == ['-fusermount3 -uz "%h/drive"', 'mkdir -p "%h/drive"']
    assert 'ExecStop=fusermount3 -uz "%h/drive"' in lines
    assert "Restart=on-failure" in lines


@each_drive
def test_a_unit_for_davfs2(shell: Shell, drive: Drive) -> None:
    """It bears the name of its folder, mounts the address that the secrets are for, and holds no password.

    The command beside it says whose the files are.
    """
    unit = files(DAVFS2, drive)[MOUNT_UNIT].decode()
    assert TOKEN not in unit
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # as configparser's manual has it
    parser.read_string(unit)
    assert f"{MOUNT_POINT.strip('/').replace('/', '-')}.mount" == MOUNT_UNIT
    mount = dict(parser["Mount"])
    what = re.sub("%(.)", lambda found: {"%": "%"}[found[1]], mount.pop("What"))
    assert what == drive.url == davfs2_words(davfs2_secret(drive))[0]
    assert mount == {"Where": MOUNT_POINT, "Type": "davfs", "Options": "_netdev,uid=1000,gid=1000"}
    (put,) = [text for _, text in commands(DAVFS2, drive) if text.startswith("sed ")]
    calls, _ = shell.run(
        put.replace("$(id -u)", "1001").replace("$(id -g)", "1002").replace(">/dev/null", "")
    )
    edit = next(call for call in calls if call.name == "sed").words
    assert edit == ("s/uid=1000,gid=1000/uid=1001,gid=1002/", MOUNT_UNIT)
    assert Call("sudo", ("tee", f"/etc/systemd/system/{MOUNT_UNIT}")) in calls


def systemd_words(line: str) -> list[str]:
    """As systemd.service(5) and systemd.unit(5) say that a command line is read."""
    line = re.sub(r"%(.)", lambda found: {"h": "HOME", "%": "%"}[found[1]], line)
    words = [quoted or plain for quoted, plain in re.findall(r'"((?:\\.|[^"\\])*)"|(\S+)', line)]
    assert all(re.fullmatch(r"(?:[^$]|\$\$)*", word) for word in words), "it would be taken for a variable"
    return [re.sub(r"\\(.)", r"\1", word).replace("$$", "$") for word in words]


@each_drive
def test_a_bookmark_for_cyberduck(drive: Drive) -> None:
    """Where the drive is and who comes, and no password."""
    found = files(program("cyberduck"), drive)[BOOKMARK_NAME]
    bookmark = plistlib.loads(found)
    assert bookmark["Protocol"] == ("davs" if drive.https else "dav")
    assert (bookmark["Hostname"], bookmark["Port"]) == (drive.host, str(drive.port))
    assert (bookmark["Username"], bookmark["Path"]) == (drive.username, drive.path)
    assert TOKEN.encode() not in found


# ── certificates
def test_our_own_certificate_comes_first(tmp_path: Path) -> None:
    """Where nobody else vouches for it: as a file, and with words that name it; elsewhere nothing is said."""
    path = tmp_path / "own.pem"
    path.write_bytes(one_pair().certificate)
    connecting = Connecting(certificate=str(path))
    drive = connecting.drive("https://drive.example/dav/", "alice", TOKEN)
    assert drive.certificate == str(path)
    (step,) = connecting.trust(drive)
    assert step.files == (File("own.pem", path.read_bytes()),)
    assert str(path) in step.shown
    assert connecting.trust(PLAIN) == []


@pytest.mark.parametrize(
    ("public_url", "is_offered"),
    [
        ("", True),
        ("https://localhost:8443", True),
        ("https://127.0.0.1", True),
        ("https://drive.example.org", False),
        ("https://127.0.0.2", False),
    ],
)
def test_a_certificate_that_only_a_proxy_sees_is_offered_to_nobody(
    tmp_path: Path, public_url: str, *, is_offered: bool
) -> None:
    """Clients of a proxy are shown that one's; ours is not for the host that they ask for."""
    path = tmp_path / "own.pem"
    path.write_bytes(one_pair().certificate)
    drive = Connecting(str(path), public_url).drive("https://drive.example.org/dav/", "alice", TOKEN)
    assert (drive.certificate, drive.certificate_pem) == (
        (str(path), path.read_bytes()) if is_offered else ("", b"")
    )


def test_a_command_that_tells_whether_the_drive_is_reached() -> None:
    """The same for every shell: one word after the option; Windows has another name for it.

    In Windows PowerShell `curl` is a command of its own that knows no such option.
    """
    assert Connecting.reach_from_windows(PLAIN.url) == "curl.exe -I https://drive.example/dav/"
    assert Connecting.reach_from_windows(NUMBER.url) == 'curl.exe -I "https://[2001:db8::1]:8443/dav/"'
    assert Connecting.reach(PLAIN.url) == "curl -I https://drive.example/dav/"
    assert Connecting.reach(NUMBER.url) == 'curl -I "https://[2001:db8::1]:8443/dav/"'


def test_names_of_users_mean_nothing_to_a_shell() -> None:
    """What the commands rely on where they are not quoted."""
    for character in map(chr, range(128)):
        if USERNAME_PATTERN.fullmatch(f"a{character}"):
            assert quoting.posix(character) == character
            assert quoting.windows(f"a{character}").strip('"') == f"a{character}"
