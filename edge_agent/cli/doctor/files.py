"""The files that the configuration names: keys and certificates, as the agent may read them."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path

from edge_agent.cli.doctor.findings import FAIL, OK, WARN, Case, Finding, real
from edge_agent.daemon.privacy_key import LEAST_BYTES, MOST_BYTES

#: What a service does not see, by the setting that hides it (systemd.exec(5)).
_HIDDEN = {
    "ProtectHome": ("/home", "/root", "/run/user"),
    "PrivateTmp": ("/tmp", "/var/tmp"),  # noqa: S108  # named, not used
}
#: More than any key, and than all the world's authorities.
_MOST_BYTES = 4 << 20
_PEM = b"-----BEGIN "


def files(case: Case) -> Iterator[Finding]:
    """Each file, and whether there is a key at all."""
    upload, hashes = case.config.upload, case.config.privacy.hash
    if case.handed_key:
        yield Finding("key", OK, "systemd hands it over as a credential")
    elif upload.endpoint and upload.auth != "none" and not (upload.api_key or upload.api_key_file):
        mend = f"set upload.api_key_file, or upload.auth: none: `{case.edit}`"
        yield Finding("key", WARN, "there is none, so requests bear no Authorization", mend)
    if upload.endpoint:
        tls = upload.tls
        yield from _read(case, "key", "upload.api_key_file", upload.api_key_file)
        yield from _read(case, "certificate", "upload.tls.ca_file", tls.ca_file)
        yield from _read(case, "certificate", "upload.tls.client_cert_file", tls.client_cert_file)
        yield from _read(case, "key", "upload.tls.client_key_file", tls.client_key_file)
    if hashes:
        yield from _read(case, "privacy", "privacy.key_file", case.config.privacy.key_file)


def hidden(case: Case, path: Path) -> bool:
    """Whether the service's sandbox keeps a path from it, whoever may read it."""
    folders = (
        folder
        for setting, some in _HIDDEN.items()
        if case.unit.get(setting, "no") not in ("no", "read-only")
        for folder in some
    )
    return any(real(path).is_relative_to(folder) for folder in folders)


def closed_folder(case: Case, path: Path) -> Path | None:
    """The first folder on the way to a path that may not be entered; None: all may be."""
    machine = case.machine
    above = (folder for folder in reversed(path.parents) if machine.there(folder))
    return next((folder for folder in above if not machine.may(folder, os.X_OK)), None)


def _read(case: Case, topic: str, key: str, name: str | None) -> Iterator[Finding]:
    """Whether one of them can be read, is for nobody else, and holds what it should."""
    if not name:
        return
    path, user = Path(name), case.user
    if hidden(case, path):
        there = Path("/etc/pyvorin") / path.name
        copy = f"sudo install -m 0640 -g {user} {shlex.quote(name)} {shlex.quote(str(there))}"
        mend = f"`{copy}`; then write {there} for {key}: `{case.edit}`"
        says = f"{key}: the service does not see {path}: its sandbox hides that folder"
        yield Finding(topic, FAIL, says, mend)
        return
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):
            mend = f"name a file for {key}: `{case.edit}`"
            yield Finding(topic, FAIL, f"{key}: {path} is no file", mend)
            return
        with path.open("rb") as file:
            text = file.read(_MOST_BYTES)
    except PermissionError:
        yield Finding(topic, FAIL, f"{key}: {user} cannot read {path}", _open(case, path))
    except OSError as exc:
        yield Finding(topic, FAIL, f"{key}: {path}: {exc.strerror}", _put(case, topic, path))
    else:
        if wrong := _wrong_with(key, text):
            yield Finding(topic, FAIL, f"{key}: {path} {wrong}", _put(case, topic, path))
        elif topic != "certificate" and about.st_mode & stat.S_IROTH:
            says = f"{key}: {path} can be read by everybody"
            yield Finding(topic, WARN, says, _open(case, path))
        else:
            yield Finding(topic, OK, f"{key}: {path} can be read by {user}")


def _wrong_with(key: str, text: bytes) -> str:
    """What keeps a file's content from being what it is to be; empty: nothing that can be seen."""
    if not text.strip():
        return "is empty"
    if ".tls." in key and _PEM not in text:
        return "is not in PEM format"
    if key == "privacy.key_file" and not LEAST_BYTES <= len(text.strip()) <= MOST_BYTES:
        return f"holds no key of {LEAST_BYTES} to {MOST_BYTES} bytes"
    if key == "upload.api_key_file" and not (
        text.isascii() and text.decode().strip().isprintable()
    ):
        return "holds more than a key: it is one line of printable ASCII"
    return ""


def _open(case: Case, path: Path) -> str:
    """The command that lets the agent read a file, and nobody else."""
    if folder := closed_folder(case, path):
        return f"sudo chmod o+x {shlex.quote(str(folder))}"
    name = shlex.quote(str(path))
    if case.installed:
        return f"sudo chown root:{case.user} {name} && sudo chmod 0640 {name}"
    return f"sudo chown {case.user} {name} && chmod 0600 {name}"


def _put(case: Case, topic: str, path: Path) -> str:
    """How something is put into a file that is missing, empty or another."""
    name = shlex.quote(str(path))
    owner = f"-m 0640 -g {case.user}" if case.installed else f"-m 0600 -o {case.user}"
    if topic == "certificate":
        return f"copy the right FILE there: `sudo install -D {owner} FILE {name}`"
    paste = f"sudo install -D {owner} /dev/stdin {name}"
    return f"`{paste}`, then paste the key, and press Enter and Ctrl-D"
