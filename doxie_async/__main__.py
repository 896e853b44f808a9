"""`python -m doxie_async`: the command line."""

from __future__ import annotations

import sys

from doxie_async.cli import main

sys.exit(main())
