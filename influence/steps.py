"""The steps: each reads directories, writes one directory, and finishes it with its manifest.

Every step is a generator of records (metrics at a step) that returns its finished directory, so
that whoever iterates decides what to log, plot or stop.
"""

from influence.evaluation.step import evaluate
from influence.sampling.iterative import join, subset, turns
from influence.sampling.step import check_sample, parse_arms, sample
from influence.scoring.step import score, wanted
from influence.searching.step import check_search, open_scored, open_study, score_list, search
from influence.training.step import check_retraining, train

__all__ = [
    "check_retraining",
    "check_sample",
    "check_search",
    "evaluate",
    "join",
    "open_scored",
    "open_study",
    "parse_arms",
    "sample",
    "score",
    "score_list",
    "search",
    "subset",
    "train",
    "turns",
    "wanted",
]
