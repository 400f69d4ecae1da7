"""What an operator sets: `esep.toml` as frozen objects."""

from .load import load_settings, template_path
from .models import ChainSettings, LabelSettings, PoolSettings, Settings, WaiverSettings, WalletSettings

__all__ = [
    "ChainSettings",
    "LabelSettings",
    "PoolSettings",
    "Settings",
    "WaiverSettings",
    "WalletSettings",
    "load_settings",
    "template_path",
]
