"""The templates that come with Smalti: Kaggle's Titanic and house prices."""

from __future__ import annotations

from smalti.templates.base_template import ClauseTemplate
from smalti.templates.builtin.house_prices import HOUSE_PRICES
from smalti.templates.builtin.titanic import TITANIC

BUILT_IN: tuple[ClauseTemplate, ...] = (TITANIC, HOUSE_PRICES)
