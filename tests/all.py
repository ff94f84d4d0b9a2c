"""Everything `make test` runs: the sync check, every notebook, then pytest. The first failure ends it."""
import os, shutil, subprocess, sys, tempfile, time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TOOLS = Path(sys.executable).parent

def step(name, *command, **kw):
    began = time.time()
    print(f'== {name}', flush=True)
    done = subprocess.run(list(map(str, command)), cwd=ROOT, **kw)
    print(f'== {name}: {"ok" if done.returncode==0 else "FAILED"} in {time.time()-began:.0f} s', flush=True)
    if done.returncode: sys.exit(done.returncode)

def out_of_step()->list[str]:
    "What `nbdev-export && nbdev-clean` changes, found on a copy so that a failing test never edits the checkout."
    with tempfile.TemporaryDirectory() as d:
        copy = Path(d)/'copy'
        shutil.copytree(ROOT, copy, symlinks=True, ignore=shutil.ignore_patterns('.venv', '.git', 'raw', 'runs', '__pycache__'))
        for tool in ('nbdev-export', 'nbdev-clean'): subprocess.run([TOOLS/tool], cwd=copy, check=True, env=os.environ|{'PYTHONPATH':str(copy)})
        files = lambda root: {p.relative_to(root).as_posix():p.read_bytes() for top in ('nbs', 'graphmer_se') for p in (root/top).rglob('*')
                              if p.suffix in ('.py', '.ipynb') and '.ipynb_checkpoints' not in p.parts}
        here, there = files(ROOT), files(copy)
    return sorted(name for name in {*here, *there} if here.get(name)!=there.get(name))

if __name__=='__main__':
    os.environ['GRAPHMER_QUIET'] = '1'
    os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')      # two of everything run beside each other: a thread that waits lets others work
    drift = out_of_step()
    print(f'== notebooks and modules: {"out of step, run `make sync`: "+", ".join(drift) if drift else "in step"}', flush=True)
    if drift: sys.exit(1)
    step('README', sys.executable, 'tests/readme.py')
    step('notebooks', TOOLS/'nbdev-test', '--n-workers', '2', '--skip-file-glob', 'index.ipynb', '--skip-folder-re', '^(run|[_.])')
    step('pytest', sys.executable, '-m', 'pytest', '-n', '2', '--dist', 'loadfile')
