"""One job on many machines: its journal is cut into shards, which run anywhere, and what became of them is merged.

`enlist` writes the items into the journal of the job, `split` cuts it, `run_locally` or `run_on_dask` runs the shards,
`merge` takes in what became of them. Whatever dies meanwhile, the same four steps go on where they were.
"""

from __future__ import annotations

from klickdoxie_core.sharding.foreman import Foreman
from klickdoxie_core.sharding.local import run_locally
from klickdoxie_core.sharding.on_dask import run_on_dask
from klickdoxie_core.sharding.reports import Reports
from klickdoxie_core.sharding.running import ShardRun, run_shard
from klickdoxie_core.sharding.shard import Shard, ShardReport
from klickdoxie_core.sharding.splitting import enlist, merge, reopened, split

__all__ = [
    "Foreman",
    "Reports",
    "Shard",
    "ShardReport",
    "ShardRun",
    "enlist",
    "merge",
    "reopened",
    "run_locally",
    "run_on_dask",
    "run_shard",
    "split",
]
