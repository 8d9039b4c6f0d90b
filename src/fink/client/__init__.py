"""Read what Fink sends, from Python: a substream as an iterator of alerts or of tables, with checkpoints of your own."""

from fink.client.arrow import arrow_schema
from fink.client.substream import Substream

__all__ = ["Substream", "arrow_schema"]
