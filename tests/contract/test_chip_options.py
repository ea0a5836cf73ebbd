"""What every driver of an I2C chip keeps of its options: all that the chip can do, and no more."""

from __future__ import annotations

import pytest
from fakes.data_sheets import CHIPS, every_chip
from fakes.every_driver import BENCHES

from edge_agent.kinds import Number, Step, Whole
from edge_agent.options import options_of

#: what people know in hexadecimal, as data sheets have it, so messages show it so
HEXADECIMAL = {"register", "mask", "invalid"}


@every_chip
def test_address_that_the_chip_cannot_have_is_refused(name: str) -> None:
    """Before anything is asked; all that it can have are taken."""
    (kind,) = (o.kind for o in options_of(type(BENCHES[name]().options)) if o.name == "address")

    for address in range(0x80):
        if address in CHIPS[name].addresses:
            assert kind.parse(address) == address
        else:
            with pytest.raises(ValueError, match=f"0x{address:02x}"):
                kind.parse(address)


@every_chip
def test_option_up_to_its_limits_is_taken_and_one_beyond_refused(name: str) -> None:
    """The bus is one of 256."""
    kinds = {declared.name: declared.kind for declared in options_of(type(BENCHES[name]().options))}
    limits: dict[str, tuple[float, float]] = {"bus": (0, 255), **CHIPS[name].limits}
    for option, ends in limits.items():
        least, most = ends
        assert tuple(kinds[option].parse(end) for end in ends) == ends
        for wrong in (least / 2 if 0 < least < 1 else least - 1, most + 1):
            shown = f"0x{wrong:02x}" if option in HEXADECIMAL else f"{wrong:.7g}"
            with pytest.raises(ValueError, match=f"^{shown} is (less|more) than "):
                kinds[option].parse(wrong)
    numbers = {option for option, kind in kinds.items() if isinstance(kind, Whole | Number)}
    assert {o for o in numbers if kinds[o].most is not None} - {"address"} <= set(limits)


@every_chip
def test_option_of_another_kind_is_refused(name: str) -> None:
    """A word that is none of its words, a list, a number that is none of its numbers."""
    for declared in options_of(type(BENCHES[name]().options)):
        for wrong in ("no such word", [declared.default], {}):
            # Any word may be a unit.
            if declared.name != "unit" or not isinstance(wrong, str):
                with pytest.raises(ValueError, match=r" is (not|no|neither) "):
                    declared.kind.parse(wrong)
        if isinstance(declared.kind, Step):
            with pytest.raises(ValueError, match=" is not one of "):
                declared.kind.parse(0.3)
