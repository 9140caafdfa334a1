"""A config is checked when it is made, by the name of the setting."""

from typing import Any, get_args, get_type_hints

import pytest

from framecast.errors import ConfigError
from framecast.models import Model, MoDeRNN, PredRNN
from framecast.models.modular import FirstStage
from framecast.models.parts.sizes import _NUMBER, _NUMBERS


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden": 8}, r"model\.hidden: 8 given, expected a tuple"),
        ({"hidden": [8, 8]}, r"(?s)\[8, 8\] given, expected a tuple.*hidden=\(8, 8\)"),
        ({"hidden": ()}, r"model\.hidden: \[\] given"),
        ({"hidden": (8, 0)}, r"model\.hidden: \[8, 0\] given"),
        ({"hidden": (8, 4)}, r"model\.hidden: .*differ"),
        ({"hidden": (8.0,)}, r"model\.hidden"),
        ({"kernel": 4}, r"model\.kernel: kernel 4 is not an odd number"),
        ({"kernel": True}, r"model\.kernel: True given"),
        ({"patch": 0}, r"model\.patch: 0 given, expected a whole number of at least 1"),
        ({"segment": 0}, r"model\.segment: 0 given"),
    ],
)
def test_settings_that_cannot_be_are_refused_at_once(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        PredRNN(**settings)


def test_kernels_and_stages_are_checked_as_well() -> None:
    with pytest.raises(ConfigError, match=r"model\.kernels: kernel 4"):
        MoDeRNN(kernels=(3, 4))
    with pytest.raises(ConfigError, match=r"model\.first\.batch_size"):
        FirstStage(batch_size=0)


@pytest.mark.parametrize("config", get_args(Model))
def test_every_model_refuses_a_size_of_nothing(config: Any) -> None:
    sizes = {name: kind for name, kind in get_type_hints(config).items() if kind in _NUMBER or kind in _NUMBERS}
    for name, kind in sizes.items():
        with pytest.raises(ConfigError, match=rf"model\.{name}: "):
            config(**{name: 0 if kind in _NUMBER else (0,)})
