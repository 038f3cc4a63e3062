# SPDX-License-Identifier: Apache-2.0
"""control.py SOCKET kill|start K: asks compare.py, which owns the servers."""
import socket
import sys

with socket.socket(socket.AF_UNIX) as asked:
    asked.connect(sys.argv[1])
    asked.sendall(" ".join(sys.argv[2:]).encode() + b"\n")
    answer = asked.makefile().readline().strip()
sys.exit(0 if answer == "ok" else answer)
