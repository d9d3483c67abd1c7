#!/usr/bin/env python3
"""Write a binary file as a C array: embed.py INPUT OUTPUT NAME HEADER, where HEADER declares NAME and NAME_bytes."""

import sys

path, out_path, name, header = sys.argv[1:]
with open(path, "rb") as binary:
    data = binary.read()
lines = [", ".join(f"0x{b:02x}" for b in data[i:i + 16]) for i in range(0, len(data), 16)]
with open(out_path, "w", encoding="ascii") as out:
    out.write(f'#include "{header}"\n\n')
    out.write(f"const unsigned char {name}[] __attribute__((aligned(8))) = {{\n\t")
    out.write(",\n\t".join(lines))
    out.write(f"\n}};\nconst size_t {name}_bytes = sizeof({name});\n")
