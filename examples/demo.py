"""All demonstrations: contacts into a fake KlickTipp, then mails through a fake Doxie, each over a real socket.

Needs no account: `nox -s demo`, or `python examples/demo.py` where the package is installed with its extras `cli` and
`sandbox`. It fails when one figure is not as it must be.
"""

from __future__ import annotations

import sys

import anyio
import crm_demo
import doxie_demo
import klicktipp_demo
import rows_demo
from make_contacts import CONTACTS, make


async def main() -> int:
    """Run all; 0 if every figure is as it must be."""
    print("KlickTipp: a file of contacts is imported\n")
    contacts = await klicktipp_demo.main(make(), CONTACTS)
    print("\nKlickTipp: an account is kept in step with a CRM\n")
    synced = await crm_demo.main()
    print("\nDoxie: mails are sent\n")
    mails = await doxie_demo.main()
    print("\nDoxie: a file of rows is sent, and the command is killed on the way\n")
    rows = await rows_demo.main()
    return max(contacts, synced, mails, rows)


if __name__ == "__main__":
    sys.exit(anyio.run(main))
