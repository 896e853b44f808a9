"""`python -m klicktipp_async`: the command line."""

from __future__ import annotations

import sys

from klicktipp_async.cli import main

sys.exit(main())
