"""Verifies the DKIM signature of a mail by dkimpy: verify-dkim.py NAME RECORD FILE, where NAME's TXT record is RECORD. Exits with 0 or 1."""

import sys

import dkim

name, record, path = sys.argv[1:]


def txt(asked, timeout=5):
    return record.encode() if asked.decode() == name else None


with open(path, "rb") as mail:
    sys.exit(0 if dkim.verify(mail.read(), dnsfunc=txt) else 1)
