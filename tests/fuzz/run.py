"""Fuzzes one target, guided by coverage: `python -m tests.fuzz.run TARGET SECONDS FOLDER`.

What leads to code that nothing else led to is put into FOLDER. A find is written there as well, printed, and
ends the run with an error. Called by `test_fuzzing` and by `make fuzz`.
"""

from __future__ import annotations

import sys

import atheris

from tests.fuzz.keep import CORPUS, FUZZED

LONGEST_BYTES = 4096


def main(name: str, seconds: str, folder: str) -> None:
    """Hand the target to libFuzzer, which ends the process."""
    atheris.enabled_hooks.add("str")
    with atheris.instrument_imports(include=list(FUZZED)):
        from tests.fuzz.targets import TARGETS  # noqa: PLC0415 - instrumented where it is imported
    options = [
        f"-max_len={LONGEST_BYTES}",
        f"-max_total_time={seconds}",
        f"-artifact_prefix={folder}/",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *options, folder, str(CORPUS / name)], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
