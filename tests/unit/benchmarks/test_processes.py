"""Processor time and memory of a tree of processes."""

from __future__ import annotations

import subprocess
import sys

from benchmarks.processes import cpu_seconds, memory_bytes, tree
from benchmarks.soak import split

PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE)
print(child.stdout.readline().decode().strip(), flush=True)
sys.stdin.read()
child.kill()
"""
CHILD = """
import os, time
kept = b"x" * 50_000_000
begun = time.process_time()
while time.process_time() - begun < 0.2:
    pass
print(os.getpid(), flush=True)
time.sleep(600)
"""


def test_children_count() -> None:
    """The memory and the processor time of a child are those of its parent, too."""
    command = [sys.executable, "-c", PARENT, CHILD]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        assert set(tree([process.pid])) == {process.pid, child}
        assert memory_bytes([process.pid]) > memory_bytes([child]) > 50_000_000
        assert cpu_seconds([process.pid]) > cpu_seconds([child]) >= 0.2
        process.communicate("")
    assert memory_bytes([process.pid]) == cpu_seconds([process.pid]) == 0


def test_a_third_is_judged_by_its_median() -> None:
    """One moment in which memory was needed is no leak; and what lies outside the time does not count."""
    samples = [(float(moment), 100) for moment in range(30)]
    samples[25] = (25.0, 10_000)
    assert split(samples, 0, 30) == [100, 100, 100]
    assert split([(-1.0, 5), (40.0, 5)], 0, 30) == [0, 0, 0]
    assert split([(float(moment), moment) for moment in range(30)], 0, 30) == [4, 14, 24]
