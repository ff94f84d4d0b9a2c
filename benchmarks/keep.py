"""Run a benchmark of the graph and keep what it said, for the page "How far the graph can be trusted".

    python benchmarks/keep.py NAME BENCHMARK [ARGUMENTS...]

runs `benchmarks/BENCHMARK.py ARGUMENTS... --json` and writes `runs/reference/graph/NAME.json`; figures are counted from all that is kept there, and the folder is sealed anew. For example
`python benchmarks/keep.py pycg_micro pycg_micro --truth snippets --rival venv/bin/python`.
"""
import json, subprocess, sys, time
from pathlib import Path
from graphmer_se.core import root
from graphmer_se.evidence.measured import COUNTS, keep_measurement

def main():
    if len(sys.argv)<3 or sys.argv[2] not in COUNTS: sys.exit(f'{__doc__}\nBENCHMARK is one of {", ".join(COUNTS)}')
    _,name,benchmark,*arguments = sys.argv
    begun = time.perf_counter()
    done = subprocess.run([sys.executable,str(Path(__file__).parent/f'{benchmark}.py'),*arguments,'--json'],stdout=subprocess.PIPE,text=True)
    if done.returncode: sys.exit(f'{benchmark} failed ({done.returncode}); nothing was kept')
    print(keep_measurement(root()/'runs'/'reference'/'graph',name,benchmark,arguments,json.loads(done.stdout),time.perf_counter()-begun))

if __name__=='__main__': main()
