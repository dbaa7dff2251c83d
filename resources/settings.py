"""The settings of the Smalti root, as a Dagster resource."""

import dagster as dg
from pydantic import Field

from smalti.settings import Settings


class SettingsResource(dg.ConfigurableResource):
    """Reads the settings when a step or sensor asks for them, never when the definitions are loaded."""

    root: str = Field("", description="The Smalti root; empty: SMALTI_ROOT, else the folder with workspace.yaml.")

    def read(self) -> Settings:
        """Return the settings as environment, ``.env`` and ``.smalti.yml`` say them now."""
        return Settings(root=self.root) if self.root else Settings()
