#!/usr/bin/env python3
"""Which Swift tests a log saw begin and not end: `unfinished.py LOG`, for a run that was stopped because it hung."""

import re
import sys
from collections import Counter
from pathlib import Path

said = Path(sys.argv[1]).read_text(errors="replace")
NAME = r'^\S+ Test (?!case |run )(".*"|[^"\s]\S*)'
begun = Counter(re.findall(NAME + r" started\.$", said, re.M))
ended = Counter(re.findall(NAME + r"(?: with \d+ test cases?)? (?:passed|failed|skipped)\b", said, re.M))
for name in sorted((begun - ended).elements()):
    print(f"    begun and not ended: {name}")
