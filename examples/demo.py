"""Both demonstrations: contacts into a fake KlickTipp, then mails through a fake Doxie, each over a real socket.

Needs no account: `nox -s demo`, or `python examples/demo.py` where the package is installed with its extras `cli` and
`sandbox`. It fails when one figure is not as it must be.
"""

from __future__ import annotations

import sys

import anyio
import doxie_demo
import klicktipp_demo
from make_contacts import CONTACTS, make


async def main() -> int:
    """Run both; 0 if every figure is as it must be."""
    print("KlickTipp: a file of contacts is imported\n")
    contacts = await klicktipp_demo.main(make(), CONTACTS)
    print("\nDoxie: mails are sent\n")
    mails = await doxie_demo.main()
    return max(contacts, mails)


if __name__ == "__main__":
    sys.exit(anyio.run(main))
