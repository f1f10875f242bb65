"""What pruning did to a voice assistant: relative changes of its error rates, whole and by domain.

The table is that of Anand et al. 2023 (table 2): each arm and percent pruned against the stack that
was trained on everything, under the same seeds and on the same requests.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from influence.nlu.metrics import bootstrap_change, efficiency, per_domain

RATES = ("dcer", "f_semer", "icer", "irer", "semer", "unrecoverable", "defect")
SHOWN = ("dcer", "f_semer", "icer", "irer", "defect", "tail_defect")  # in the printed table


def changes(outcomes: Mapping[str, pd.DataFrame], seed: int = 0) -> pd.DataFrame:
    """Return one row per arm and percent pruned, with the relative change of every rate.

    `outcomes`: of each arm, what its evaluation left (percent_pruned, seed, one row per request and
    seed, in order). Columns: arm, percent_pruned, seeds, and for each rate, and `tail_defect`, the
    defect rate of the rarest requests: <rate> (relative change, 0.05 is 5 %), <rate>_low and
    <rate>_high (paired bootstrap, 95 %), <rate>_sigma (data-score efficiency).
    """
    rows = []
    for arm, frame in outcomes.items():
        before = _by_seed(frame, 0)
        for percent in sorted(set(frame["percent_pruned"]) - {0}):
            after = _by_seed(frame, percent)
            row = {"arm": arm, "percent_pruned": percent, "seeds": len(after)}
            for rate in RATES:
                row |= _change(rate, before, after, rate, percent, seed)
            tails = [[one[one["tail"]] for one in some] for some in (before, after)]
            row |= _change("tail_defect", *tails, "defect", percent, seed)
            rows.append(row)
    return pd.DataFrame(rows)


def domains(
    outcomes: Mapping[str, pd.DataFrame], shares: Mapping[str, pd.DataFrame]
) -> pd.DataFrame:
    """Return one row per arm, percent pruned and domain, see `nlu_metrics.per_domain`.

    `shares`: of each arm label, percent_pruned, share_before, share_after of the train set.
    """
    tables = []
    for arm, frame in outcomes.items():
        before = _by_seed(frame, 0)
        for percent in sorted(set(frame["percent_pruned"]) - {0}):
            own = shares[arm][shares[arm]["percent_pruned"] == percent].set_index("label")
            table = per_domain(
                before[0]["domain"].to_numpy(dtype=str),
                before,
                _by_seed(frame, percent),
                own["share_before"].to_dict(),
                own["share_after"].to_dict(),
            )
            table.insert(0, "arm", arm)
            table.insert(1, "percent_pruned", percent)
            tables.append(table)
    return pd.concat(tables, ignore_index=True)


def shown(table: pd.DataFrame) -> list[list[str]]:
    """Return `changes` as the paper shows them: relative changes in % with intervals, and sigma.

    The first row names the columns.
    """
    head = ["sampling", "Δ train, %", *(f"{rate.replace('_', '-').upper()}" for rate in SHOWN)]
    head += ["σ of DCER", "σ of IRER"]
    lines = [head]
    for _, row in table.sort_values(["percent_pruned", "arm"], ascending=[False, True]).iterrows():
        ends = {rate: [_percent(row[f"{rate}_{end}"]) for end in ("low", "high")] for rate in SHOWN}
        cells = [f"{_percent(row[rate])} [{', '.join(ends[rate])}]" for rate in SHOWN]
        sigmas = [f"{row[f'{rate}_sigma']:.2f}".replace("-", "−") for rate in ("dcer", "irer")]
        lines.append([row["arm"], f"−{row['percent_pruned']:g}", *cells, *sigmas])
    return lines


def markdown(table: pd.DataFrame) -> str:
    """Return the table that `shown` gives."""
    seeds = int(table["seeds"].max())
    head, *rows = shown(table)
    lines = [head, ["---"] * len(head), *([f"`{row[0]}`", *row[1:]] for row in rows)]
    text = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    return f"Relative change of error rates, % ({seeds} seeds, 95 % intervals)\n\n{text}"


def _by_seed(frame: pd.DataFrame, percent: float) -> list[pd.DataFrame]:
    own = frame[frame["percent_pruned"] == percent]
    return [rows.reset_index(drop=True) for _, rows in own.groupby("seed", sort=True)]


def _change(name, before, after, rate: str, percent: float, seed: int) -> dict[str, float]:
    change, low, high = bootstrap_change(before, after, rate, seed)
    sigma = efficiency(change, percent / 100)
    return {name: change, f"{name}_low": low, f"{name}_high": high, f"{name}_sigma": sigma}


def _percent(value: float) -> str:
    return "∞" if np.isinf(value) else f"{100 * value:+.1f}".replace("-", "−")
