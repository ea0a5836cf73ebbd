"""The copy of the last configuration that was accepted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from fakes.drivers import DRIVERS

from edge_agent.config import document, last_good
from edge_agent.config.loader import Loaded, load

Load = Callable[..., Loaded]


def test_last_good_read_again_is_the_same_configuration(load_text: Load, tmp_path: Path):
    """All files as one, with the environment looked up anew."""
    environ = {"SITE": "lyon"}
    loaded = load_text(
        "device: {id: '${SITE}'}\nsensors: [{name: a, type: chip}]\n",
        environ,
        a="sensors: [{name: '010', type: probe, pin: 0x04}]\n",
    )
    kept = tmp_path / "state" / "last_good.yaml"
    kept.parent.mkdir()
    assert last_good.save(kept, loaded.text_for_last_good)
    assert load(kept, environ, DRIVERS).config == loaded.config
    assert document.read(kept).problems == []


def test_last_good_is_written_only_when_it_changed(tmp_path: Path):
    """The card is spared, the mode is the owner's alone, and nothing is left lying about."""
    kept = tmp_path / "last_good.yaml"
    (tmp_path / ".last_good.yaml.new").write_text("torn", encoding="utf-8")
    assert last_good.save(kept, "a: 1\n")
    first = kept.stat()
    assert not last_good.save(kept, "a: 1\n")
    assert kept.stat().st_ino == first.st_ino
    assert last_good.save(kept, "a: é\n")
    assert kept.read_text(encoding="utf-8") == "a: é\n"
    assert first.st_mode & 0o777 == kept.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [kept]


def test_last_good_that_cannot_be_written_leaves_the_old_one(tmp_path: Path):
    """A copy that is old is better than none."""
    kept = tmp_path / "last_good.yaml"
    last_good.save(kept, "a: 1\n")
    (tmp_path / ".last_good.yaml.new").mkdir()
    with pytest.raises(OSError, match="directory"):
        last_good.save(kept, "a: 2\n")
    assert kept.read_text(encoding="utf-8") == "a: 1\n"
