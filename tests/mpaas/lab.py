"""The vendors of docs/laboratory.md, as strict as their documents, and what reached them."""

import json
import os
import secrets
import subprocess
import urllib.parse
import urllib.request

from device import DEADLINE_S
from world import eventually

#: The vendors that the contract has a ThirdChannel for, by its number; 9 to 11 are settings of ours.
CHANNELS = {
    "apns": 2,
    "xiaomi": 4,
    "huawei": 5,
    "fcm": 6,
    "oppo": 7,
    "vivo": 8,
    "honor": 9,
    "harmonyos": 10,
}
LIVE_ACTIVITY = 11

#: OsType and kind of target of a phone that has this vendor's channel.
OS_TYPES = {"apns": 2, "harmonyos": 7}


def os_type(vendor):
    return OS_TYPES.get(vendor, 1)


def token(fate="ok"):
    """One that nobody else has; its beginning is its fate."""
    return f"{fate}-{secrets.token_hex(16)}"


class Lab:
    """`carillon lab`, beside the server under test; one for all rows."""

    def __init__(self):
        self.process = None

    def start(self):
        if self.process:
            return
        self.process = subprocess.Popen(
            [os.environ["CARILLON"], "lab", "--json"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        ready = json.loads(self.process.stdout.readline())
        self.control, self.ca = ready["control"], ready["ca_pem"]
        self.vendors = {one["vendor"]: one for one in ready["vendors"]}

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()

    def app(self, server, *vendors, routing=None, settings=None):
        """An app that is set up for these vendors, for all that the contract knows when none is named."""
        self.start()
        app = server.app()
        for vendor in vendors or CHANNELS:
            given = self.vendors[vendor]
            setup = {name: given[name] for name in ("credential", "hosts")}
            setup["settings"] = {**given["settings"], **(settings or {}).get(vendor, {})}
            app.native("PUT", f"/v1/vendors/{vendor}", {**setup, "ca_pem": self.ca})
        if routing:
            app.native("PUT", "/v1/settings", {"routing": routing})
        return app

    def captures(self, vendor):
        query = urllib.parse.urlencode({"vendor": vendor})
        with urllib.request.urlopen(f"{self.control}/captures?{query}", timeout=DEADLINE_S) as answer:
            return json.load(answer)

    def taken(self, vendor, to):
        """What the vendor would have shown on this token's phone: once and no more."""
        of = lambda: [one for one in self.captures(vendor)["taken"] if one["token"] == to]
        found = eventually(f"{vendor} to take it", of)
        assert len(found) == 1, found
        return found[0]["content"]

    def refused(self, vendor, to):
        """True when the vendor took nothing for this token."""
        return not [one for one in self.captures(vendor)["taken"] if one["token"] == to]

    def heard(self, vendor, part):
        """Requests that name this, in their path or their body."""
        requests = self.captures(vendor)["requests"]
        return [one for one in requests if part in one["path"] or part in json.dumps(one["body"])]


LAB = Lab()


def phone(app, vendor, fate="ok", name=None, connect=False):
    """A phone with this vendor's token, reported by the app server. Answers its name, its token and itself."""
    given = token(fate)
    name = name or f"{vendor}-{given}"
    platform = {2: "ios", 7: "harmonyos"}.get(os_type(vendor), "android")
    device = app.device(name, platform) if connect else None
    if device:
        device.connect()
    app.report(name, os_type(vendor), CHANNELS[vendor], given)
    return name, given, device


def verdict(app, message, *wanted):
    """The state of the message's one target, once it is one of these, and its steps."""

    def ask():
        (target,) = app.native("GET", f"/v1/messages/{message}")["targets"]
        return target if target["state"] in wanted else None

    return eventually(f"a verdict of {wanted}", ask)
