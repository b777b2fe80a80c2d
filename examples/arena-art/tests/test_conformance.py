"""Every plugin keeps to the rules that arena has for plugins."""

from __future__ import annotations

from collections.abc import Callable

from arena_art.class_labels import ClassLabelsDefense
from arena_art.copycat import Copycat
from arena_art.functionally_equivalent import FunctionallyEquivalent
from arena_art.gaussian_noise import GaussianNoiseDefense
from arena_art.high_confidence import HighConfidenceDefense
from arena_art.knockoff import Knockoff
from arena_art.relu_network import ReluNetworkTarget
from arena_art.reverse_sigmoid import ReverseSigmoidDefense
from arena_art.rounded import RoundedDefense

from arena import Dataset, conformance

IRIS = Dataset.model_validate("iris")
AS_ART = {"probabilities-sum-to-one": "ART does not normalise what it leaves of them"}


@conformance.parametrize(
    ReluNetworkTarget(dataset=IRIS),
    RoundedDefense(),
    ReverseSigmoidDefense(),
    GaussianNoiseDefense(),
    ClassLabelsDefense(),
    Copycat(nb_epochs=5),
    Knockoff(nb_epochs=5),
    Knockoff(nb_epochs=5, sampling_strategy="adaptive", reward="div"),
    FunctionallyEquivalent(),
)
def test_conforms(check: Callable[[], None]) -> None:
    check()


@conformance.parametrize(HighConfidenceDefense(), waive=AS_ART)
def test_conforms_but_for_what_art_does(check: Callable[[], None]) -> None:
    check()
