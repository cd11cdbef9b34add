"""Runs the acceptance table of the mPaaS contract against a server, with the official SDKs.

    CARILLON=target/debug/carillon python tests/mpaas/run.py READY.json [WORD ...]

READY.json holds the line of `carillon dev --json`; `-` reads it from standard input. With words, only rows whose
names have one of them.
"""

import json
import sys

import row_activities
import row_analysis
import row_devices
import row_fields
import row_later
import row_owner
import row_pushes
import row_refusals
import row_roads
import row_templates
import row_wire
import rows
from lab import LAB
from world import Server

assert all([row_wire, row_devices, row_pushes, row_templates, row_later, row_owner, row_analysis])
assert all([row_roads, row_fields, row_refusals, row_activities])


def main():
    with sys.stdin if sys.argv[1] == "-" else open(sys.argv[1]) as file:
        server = Server(json.loads(file.readline()))
    try:
        held = rows.run(server, sys.argv[2:])
    finally:
        LAB.stop()
    sys.exit(0 if held else 1)


main()
