"""The table of tone plans: which lines are refused, and with which message."""

from pathlib import Path

import pytest

from media.plans import TonePlan, TonePlanError, load_tone_plans

pytestmark = pytest.mark.unit

HEADER = "code,frequencies_hz,modulation_hz,cadence_ms,source\n"


def table(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "tones.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_row_becomes_a_plan(tmp_path: Path) -> None:
    plans = load_tone_plans(table(tmp_path, HEADER + 'aa,400+450,25,400 200 400 2000,"here, there"\n'))
    assert plans == {"aa": TonePlan("aa", (400, 450), 25, (400, 200, 400, 2000), "here, there")}
    assert plans["aa"].loop_ms == 3000


def test_an_empty_cadence_is_an_unbroken_tone(tmp_path: Path) -> None:
    plan = load_tone_plans(table(tmp_path, HEADER + "aa,400,,,x\n"))["aa"]
    assert plan.cadence_ms == ()
    assert plan.loop_ms == 1000


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("AA,400,,1000 2000,x", "'AA' is no code"),
        ("aa,,,1000 2000,x", "'' is no whole number"),
        ("aa,400.5,,1000 2000,x", "'400.5' is no whole number"),
        ("aa,400+50,,1000 2000,x", "50 Hz is not in 200..3400"),
        ("aa,400,0,1000 2000,x", "modulation by 0 Hz"),
        ("aa,400,101,1000 2000,x", "modulation by 101 Hz"),
        ("aa,400,,1000,x", "does not end in silence"),
        ("aa,400,,1000 19,x", "19 ms is not in"),
        ("aa,400,,1000 20001,x", "20001 ms is not in"),
        ("aa,400", "tones.csv:2"),
    ],
)
def test_a_bad_row_is_named_with_its_line(tmp_path: Path, row: str, complaint: str) -> None:
    with pytest.raises(TonePlanError, match=r"tones\.csv:2: ") as caught:
        load_tone_plans(table(tmp_path, HEADER + row + "\n"))
    assert complaint in str(caught.value)


def test_a_code_may_be_there_only_once(tmp_path: Path) -> None:
    row = "aa,400,,1000 2000,x\n"
    with pytest.raises(TonePlanError, match=r"tones\.csv:3: aa is there twice"):
        load_tone_plans(table(tmp_path, HEADER + row + row))


def test_other_columns_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TonePlanError, match="columns"):
        load_tone_plans(table(tmp_path, "code,hz\naa,400\n"))


def test_a_plan_needs_a_frequency() -> None:
    with pytest.raises(TonePlanError, match="no frequency"):
        TonePlan("aa", (), None, ())


def test_the_table_cannot_be_changed(tmp_path: Path) -> None:
    plans = load_tone_plans(table(tmp_path, HEADER + "aa,400,,,x\n"))
    with pytest.raises(TypeError):
        plans["bb"] = plans["aa"]  # type: ignore[index]
