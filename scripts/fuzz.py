"""Coverage-guided runs of `fakes.hostile`: any bytes to what reads bytes of strangers.

Each target has a process of its own, which ends at the first promise that is broken, an input that
takes longer than `SLOWEST_S` or memory beyond `MOST_MEMORY_MB`; the input is kept in
``artefacts/fuzz/TARGET``, and so is the corpus, from which the next run goes on.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import atheris

#: Whether this is a target's own process: what is imported there tells atheris where it goes.
INSIDE = "--inside" in sys.argv
_LED_BY = ["edge_agent", "email", "yaml"]
with atheris.instrument_imports(include=_LED_BY) if INSIDE else contextlib.nullcontext():
    from fakes import hostile

    from edge_agent.config.schema import json_schema

ROOT = Path(__file__).parent.parent
KEPT = ROOT / "artefacts" / "fuzz"
CASES = ROOT / "tests" / "testcases"
LONGEST_BYTES = 8192
SLOWEST_S = 20
MOST_MEMORY_MB = 1024
#: Folders in memory, where that can be had.
MEMORY = Path("/dev/shm")  # noqa: S108  # each run makes a folder of its own there
#: How libFuzzer says how far it is.
_PROGRESS = re.compile(r"#(\d+)\s.*cov: (\d+) ft: (\d+)")
#: Of what it says about a broken promise: the traceback and the input's name.
_MOST_LINES = 60

_ROW = (
    b'{"device_id":"pi","queue_id":"q-%d","id":%d,"priority":3,"created_at":1.5,"ttl_seconds":9,'
    b'"payload":{"sensor_name":"t","value":2.5}}\n'
)
_ROWS = b"".join(_ROW % (1 + n // 5, n) for n in range(1, 9))
_ANSWERS = (
    b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{"stored": 2, "repeated": 0}',
    b'HTTP/1.1 207 M\r\n\r\n{"rejected": [{"id": 41, "reason": "no unit"}], "retry": [42]}',
    b"HTTP/1.1 429 Too Many\r\nRetry-After: 120\r\n\r\nbusy",
    b"HTTP/1.1 503 No\r\nRetry-After: Sun, 15 Jun 2025 15:08:20 GMT\r\nContent-Length: 2\r\n\r\nno",
    b"HTTP/1.1 302 Found\r\nLocation: http://portal.example/login\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{}  \r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(b'{"retry": [41]}'),
    b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(bytes(1 << 20)),
    b"\xef\xbb\xbf<!doctype html><html>",
)
_UPLOAD = b"""upload:
  endpoint: http://u:p@127.0.0.1:80/x
  api_key: ${A}
  headers: {X-Tenant: north, Authorization: x}
  proxy: http://[::1]:3128
  quota: {daily: {messages: 5000, bytes: 5MiB}}
privacy: {drop: [unit, metadata.a], hash: [metadata.a.b], round: {metadata.lat: 2}}
"""
#: What each target begins with, besides what once broke it.
SEEDS = {
    "configuration": [
        *(file.read_bytes() for file in sorted((ROOT / "config").rglob("*.yaml"))),
        (CASES / "contract" / "agent.yaml").read_bytes(),
        _UPLOAD,
        b"device: {id: x}\nsensors: [{name: a, type: system}]\n"
        + hostile.NEXT_FILE
        + b"sensors: [{name: b, type: bme280, channels: {humidity: {filters: [{median: 3}]}}}]\n",
    ],
    "answer": _ANSWERS,
    "exported": [
        b"d\n" + _ROWS,
        b"Zdr4tddb\n" + _ROWS,
        b"zd4\n" + gzip.compress(_ROWS),
        b"z\n" + gzip.compress(bytes(2 << 20)),
        b"d\n" + _ROWS.replace(b"2.5", b"NaN").replace(b"1.5", b"1e999", 3),
        b"d\n" + re.sub(rb'("payload":)(.*)}', rb"\1[\2]}", _ROWS),
        b'Nd1\n{"endpoint":"https://a.example/","lines":2,"digest":"","delivered":2}\n' + _ROWS,
    ],
}


def main() -> int:
    """Fuzz the targets named, one after the other; 1 where a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(hostile.TARGETS))
    parser.add_argument("--seconds", type=int, default=60, help="for each target (60)")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if unknown := set(args.targets) - hostile.TARGETS.keys():
        parser.error(f"no target: {', '.join(unknown)}")
    if args.inside:
        fuzz(args.targets[0], args.seconds)
    return max(run(name, args.seconds) for name in args.targets or hostile.TARGETS)


def run(name: str, seconds: int) -> int:
    """One target in its own process; says what was tried, and what broke a promise."""
    words = [sys.executable, __file__, "--inside", "--seconds", str(seconds), name]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, errors="replace") as fuzzer:
        said, tried = [], None
        for line in fuzzer.stderr or ():
            if line.startswith("#"):
                tried = _PROGRESS.match(line) or tried
            elif not line.startswith(("INFO", "WARNING")):
                said.append(line)
    broken = fuzzer.returncode != 0
    if broken:
        sys.stderr.writelines(said[-_MOST_LINES:])
    inputs, edges, features = tried.groups() if tried else (0, 0, 0)
    verdict = "a promise was broken, see above" if broken else "every promise held"
    print(f"{name}: {inputs} inputs, {edges} edges, {features} features: {verdict}")
    return int(broken)


def words_of(name: str) -> set[str]:
    """What inputs are made of: the words of the seeds, and all keys of a configuration."""
    seeds = b"\n".join(SEEDS[name]).decode("latin-1")
    keys = re.findall(r'"(\w+)"', json.dumps(json_schema())) if name == "configuration" else ()
    return {*keys, *re.findall(r"[A-Za-z_][A-Za-z0-9_.-]+", seeds)}


def fuzz(name: str, seconds: int) -> None:
    """Fuzz one target in this process, which ends with it."""
    corpus, seeds = KEPT / name / "corpus", KEPT / name / "seeds"
    for folder in (corpus, seeds):
        folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(SEEDS[name]):
        (seeds / str(number)).write_bytes(seed)
    dictionary = KEPT / name / "words"
    dictionary.write_text("".join(f'"{word}"\n' for word in sorted(words_of(name))))
    once = CASES / "fuzz" / name
    shared = MEMORY if os.access(MEMORY, os.W_OK) else None
    target = hostile.TARGETS[name]

    def attempt(content: bytes) -> None:
        with tempfile.TemporaryDirectory(dir=shared) as folder:
            target(content, Path(folder))

    options = {
        "max_total_time": seconds,
        "max_len": LONGEST_BYTES,
        "timeout": SLOWEST_S,
        "rss_limit_mb": MOST_MEMORY_MB,
        "artifact_prefix": f"{KEPT / name}/",
        "dict": dictionary,
    }
    words = [f"-{option}={value}" for option, value in options.items()]
    folders = [str(folder) for folder in (corpus, seeds, once) if folder.is_dir()]
    atheris.Setup([sys.argv[0], *words, *folders], attempt)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
