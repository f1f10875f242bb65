"""Each parameter is declared once."""

import dataclasses

from influence.config.parameters import SampleConfig
from influence.config.steps import STEPS
from influence.sampling.rules import REGISTRY


def test_a_rule_takes_its_defaults_from_the_config_and_is_searched_inside_its_range():
    """A legal value may be useless: a search tries those that are worth a trial."""
    declared = {field.name: field for field in dataclasses.fields(SampleConfig)}
    for rule in REGISTRY.values():
        for name, default in rule.parameters.items():
            low, high = (declared[name].metadata[end] for end in ("low", "high"))
            lowest, highest = rule.ranges[name]
            assert default == declared[name].default, (rule.name, name)
            assert lowest >= low and (high is None or highest <= high), (rule.name, name)


def test_a_line_of_help_begins_with_no_preposition_and_ends_without_a_full_stop():
    """It stands alone, beside its flag and in a table."""
    lines = {
        field.metadata["help"] for kind in STEPS.values() for field in dataclasses.fields(kind)
    }
    assert not [line for line in lines if line.split()[0] in ("of", "for", "in", "at", "from")]
    assert not [line for line in lines if line.endswith(".")]
