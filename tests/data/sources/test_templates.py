"""Templates hold parts and plain words, and can be counted."""

import re

import pytest

from influence.data.sources.assistant_grammar import CARRIERS, RULES
from influence.data.sources.templates import PART, derivations, listed


@pytest.mark.parametrize("name", [*CARRIERS, *RULES])
def test_what_is_left_beside_the_parts_of_a_template_is_plain_words(name):
    for template in listed(CARRIERS.get(name) or RULES[name]):
        plain = PART.sub("x", template)
        assert re.fullmatch(r"[a-z]+( [a-z]+)*[?.!]?", plain), template


def test_wordings_count_what_a_template_can_become():
    assert derivations("(a|b|) c") == 3
    assert derivations("{unit:celsius} <celsius>") == 1
    assert derivations("{weekday} (x|<weekday>)") == 7 * 8
