"""What the firmware does with the lines of the header, as config.txt says."""

from pathlib import Path

import pytest

from relays.config_txt import BootLine, boot_lines

PI_4, PI_5, ZERO = (f"Raspberry Pi {name}" for name in ("4 Model B Rev 1.4", "5 Model B Rev 1.0", "Zero 2 W Rev 1.0"))
HIGH, LOW = BootLine(True, "dh"), BootLine(True, "dl")


def said(folder: Path, text: str, model: str = PI_4) -> dict[int, BootLine]:
    file = folder / "config.txt"
    file.write_text(text)
    return boot_lines(file, model)


def test_a_line_is_driven_high_or_low(tmp_path: Path) -> None:
    assert said(tmp_path, "gpio=5=op,dh\ngpio=6=op,dl\n#gpio=7=op,dh\ngpio_in_init=8\n") == {5: HIGH, 6: LOW}


def test_lists_and_ranges_of_lines(tmp_path: Path) -> None:
    assert said(tmp_path, "gpio=5,20-22=op,dh") == {5: HIGH, 20: HIGH, 21: HIGH, 22: HIGH}


def test_settings_add_up_and_later_ones_win(tmp_path: Path) -> None:
    assert said(tmp_path, "gpio=5=op\ngpio=5=dh\n") == {5: HIGH}
    assert said(tmp_path, "gpio=0-27=ip,pd\ngpio=5=op,dh\ngpio=5=dl\n")[5] == LOW
    assert said(tmp_path, "gpio=5=op,dh\ngpio=5=ip\n") == {5: BootLine(False, "dh")}
    assert said(tmp_path, "gpio=5=op,dh\ngpio=5=a2\n") == {5: BootLine(False, "dh")}


@pytest.mark.parametrize(
    ("section", "models"),
    [
        ("[all]", {PI_4, PI_5, ZERO}),
        ("[none]", set()),
        ("[pi4]", {PI_4}),
        ("[pi5]", {PI_5}),
        ("[pi0]", {ZERO}),
        ("[pi0w]", {ZERO}),
        ("[pi400]", set()),
        ("[pi4]\n[pi5]", {PI_5}),
        ("[pi4]\n[none]", set()),
        ("[none]\n[all]", {PI_4, PI_5, ZERO}),
    ],
)
def test_sections_are_for_models_and_all_ends_them(tmp_path: Path, section: str, models: set[str]) -> None:
    assert {model for model in (PI_4, PI_5, ZERO) if said(tmp_path, f"{section}\ngpio=5=op,dh\n", model)} == models


@pytest.mark.parametrize(
    ("section", "model"),
    [
        ("pi3+", "3 Model B Plus Rev 1.3"),
        ("pi3", "3 Model B Plus Rev 1.3"),
        ("pi4", "400 Rev 1.0"),
        ("pi400", "400 Rev 1.0"),
        ("cm4", "Compute Module 4 Rev 1.0"),
        ("pi4", "Compute Module 4 Rev 1.0"),
        ("pi1", "Model B Plus Rev 1.2"),
        ("pi5", "500 Rev 1.0"),
    ],
)
def test_a_model_may_be_meant_by_several_sections(tmp_path: Path, section: str, model: str) -> None:
    assert said(tmp_path, f"[{section}]\ngpio=5=op,dh\n", f"Raspberry Pi {model}") == {5: HIGH}


@pytest.mark.parametrize("condition", ["0x12345678", "gpio4=1", "EDID=VSC-TD2220", "tryboot", "board-type=0x14"])
def test_what_stands_under_another_condition_is_doubtful(tmp_path: Path, condition: str) -> None:
    text = f"gpio=5=op,dh\n[{condition}]\ngpio=5=op,dl\n"
    assert said(tmp_path, text) == {5: BootLine(True, "dh", is_doubtful=True)}
    assert said(tmp_path, f"{text}[all]\ngpio=5=op,dh\n") == {5: HIGH}
    assert said(tmp_path, f"[{condition}]\n[pi5]\ngpio=5=op,dh\n") == {}


def test_another_file_is_brought_in(tmp_path: Path) -> None:
    (tmp_path / "relays.txt").write_text("gpio=6=op,dl\n")
    assert said(tmp_path, "include relays.txt\ninclude gone.txt\ngpio=5=op,dh\n") == {5: HIGH, 6: LOW}
    assert said(tmp_path, "include config.txt\ngpio=5=op,dh\n") == {5: HIGH}, "one that brings in itself"


@pytest.mark.parametrize("text", ["gpio=", "gpio==", "gpio=x=op", "gpio=5-=op", "[", "[]", "\0\xff", "gpio=99999=op"])
def test_nonsense_says_nothing(tmp_path: Path, text: str) -> None:
    assert said(tmp_path, f"{text}\ngpio=5=op,dh\n")[5] == HIGH
