"""Mails (JSON: name -> base64) from standard input, as Python's email package reads them, as JSON on standard output."""
import base64
import email
import email.policy
import json
import sys


def told(part):
    fields = [[name, octets_as_text(value)] for name, value in part.items()]
    out = {"type": part.get_content_type(), "fields": fields, "defects": [repr(d) for d in part.defects]}
    for value in part.values():
        out["defects"] += [repr(d) for d in getattr(value, "defects", [])]
    if part.is_multipart():
        out["parts"] = [told(child) for child in part.get_payload()]
    else:
        out["text"] = part.get_payload(decode=True).decode("utf-8")
    return out


def octets_as_text(value):
    return str(value).encode("utf-8", "surrogateescape").decode("utf-8")


mails = json.load(sys.stdin)
policy = email.policy.SMTPUTF8
json.dump({name: told(email.message_from_bytes(base64.b64decode(mail), policy=policy)) for name, mail in mails.items()}, sys.stdout)
