"""Every query strategy as an attack: which play, with what, and why the others cannot."""

from __future__ import annotations

from typing import Any

from arena_activeml.attack import ActiveML, ActiveMLRegression
from arena_activeml.strategies import INNER, SUPPLIED, strategies

NO_REGRESSOR = "needs 'reg'"
NO_CLASSIFIER = "needs 'clf'"
NO_CLASSES = "needs 'classes'"
ABSTRACT = "needs 'enforce_mapping'"
CLASSIFIERS_ONLY = "refuses to play: `ensemble` must"
WANTS_SPREAD = "refuses to play: For regression, `predict` must return uncertainties"

NO_ATTACK = {
    "activeml": {
        "ExpectedErrorReduction": ABSTRACT,
        "ExpectedModelChangeMaximization": NO_REGRESSOR,
        "ExpectedModelOutputChange": NO_REGRESSOR,
        "ExpectedModelVarianceReduction": NO_REGRESSOR,
        "GreedySamplingTarget": NO_REGRESSOR,
        "KLDivergenceMaximization": NO_REGRESSOR,
        "RegressionTreeBasedAL": NO_REGRESSOR,
    },
    "activeml-regression": {
        "Badge": NO_CLASSIFIER,
        "BatchBALD": CLASSIFIERS_ONLY,
        "Clue": WANTS_SPREAD,
        "ContrastiveAL": NO_CLASSIFIER,
        "CostEmbeddingAL": NO_CLASSES,
        "DropQuery": NO_CLASSIFIER,
        "EpistemicUncertaintySampling": NO_CLASSIFIER,
        "ExpectedErrorReduction": ABSTRACT,
        "Falcun": NO_CLASSIFIER,
        "FourDs": NO_CLASSIFIER,
        "GreedyBALD": CLASSIFIERS_ONLY,
        "MonteCarloEER": NO_CLASSIFIER,
        "ProbabilisticAL": NO_CLASSIFIER,
        "Quire": NO_CLASSES,
        "UncertaintySampling": NO_CLASSIFIER,
        "ValueOfInformationEER": NO_CLASSIFIER,
    },
}
"""What cannot be an attack as it is, and why."""

ATTACKS = {attack.name: attack for attack in (ActiveML, ActiveMLRegression)}
EVERY = [(attack, name) for attack in SUPPLIED for name in strategies()]
PLAYABLE = [(attack, name) for attack, name in EVERY if name not in NO_ATTACK[attack]]

_INNER = {"activeml": "UncertaintySampling", "activeml-regression": "GreedySamplingTarget"}


def parameters(attack: str, strategy: str) -> dict[str, Any]:
    """Return parameters by which a strategy is played quickly, one inside where it wraps one."""
    few: dict[str, Any] = {"strategy": strategy, "start": 10, "pool": 12, "batch": 4}
    if strategy.endswith("Wrapper"):
        few["options"] = {INNER: _INNER[attack]}
    if strategy == "ParallelUtilityEstimationWrapper":
        # It chooses one row at a time, and a cell starts no processes.
        few["options"]["n_jobs"] = 1
        few |= {"batch": 1, "growth": 0.0}
    return few


def made(attack: str, strategy: str, **others: Any) -> ActiveML:
    """Make an attack of those parameters, some of them others."""
    return ATTACKS[attack](**parameters(attack, strategy) | others)
