"""The arithmetic of sets against models that look at each member: properties.py. `make property` tries a million."""

import pytest

from unit.policy import properties


@pytest.mark.parametrize("name", properties.PROPERTIES)
def test_product_and_model_agree(name: str) -> None:
    properties.check(name, "ci", 400)
