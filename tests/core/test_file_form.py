from __future__ import annotations

from pathlib import PurePosixPath

import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.core.file_form import form_by_ending, form_named

FORMS = ("md", "csv", "json")


@pytest.mark.parametrize("name", ["rows.csv", "ROWS.CSV", "a.json.csv"])
def test_a_name_says_its_form_by_its_ending(name: str) -> None:
    assert form_by_ending(PurePosixPath(name), FORMS) == "csv"


@pytest.mark.parametrize("name", ["rows", "rows.", ".csv", "rows.csv.gz"])
def test_another_ending_is_refused_with_those_that_can_be_written(name: str) -> None:
    with pytest.raises(EdgetuiError) as caught:
        form_by_ending(PurePosixPath("there") / name, FORMS)
    assert caught.value.failure.kind == "bad_request"
    assert str(caught.value).startswith(f"{name} ends") and ".md, .csv or .json" in str(caught.value)


def test_a_form_that_is_none_is_refused_even_without_a_name() -> None:
    assert form_named("md", FORMS) == "md"
    for form in ("", "xml", ".md"):
        with pytest.raises(EdgetuiError, match="take md, csv, json"):
            form_named(form, FORMS)
