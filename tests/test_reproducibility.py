"""The three promises of `nbs/explanations/reproducible`: the same bytes anywhere, the same bytes on one machine, near numbers elsewhere.

The first is held against `tests/golden/hashes.json`, so that another Python, processor or operating system that says anything else is found.
A rule that is meant to change what is found changes that file: `python tests/test_reproducibility.py`, and a look at what changed.
"""
import json, sys, tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = ROOT/'tests'/'golden'

def same_anywhere(tokens:bool=True)->dict[str, str]:
    "Hashes of what has to be the same bytes on every machine: facts of files, graph, vocabulary and split."
    from graphmer_se.core import json_bytes, sha256_bytes
    from graphmer_se.kg.build import build_to
    from graphmer_se.kg.store import load
    from graphmer_se.parsing.corpus import Repository
    from graphmer_se.parsing.facts import parse, source_files
    repositories = [Repository('shop', '1.2', 'MIT', GOLDEN/'shop'), Repository('bank', '2.0', 'Apache-2.0', GOLDEN/'bank')]
    found = {}
    files = [f for r in repositories for f in source_files(r.folder)[0]]
    found['facts'] = sha256_bytes('\n'.join(repr(parse(f.path.read_bytes(), 'java' if f.path.suffix=='.java' else 'python')) for f in files if f.path.suffix in ('.py', '.java')).encode())
    with tempfile.TemporaryDirectory() as d:
        found['graph'] = build_to(d, repositories)['data_sha256']
        kg = load(d)
    if not tokens: return found
    from graphmer_se.model.batches import split_files
    from graphmer_se.model.tokens import train_tokenizer
    split = split_files(kg.repositories, kg.files)
    found['tokens'] = sha256_bytes(train_tokenizer([f.path.read_text() for f in files], 600).to_str().encode())
    found['split'] = sha256_bytes(json_bytes([split.parts.tolist(), split.unit]))
    return found

def test_the_same_bytes_anywhere():
    assert same_anywhere()==json.loads((GOLDEN/'hashes.json').read_text())

def test_near_numbers_with_another_arithmetic(smoke, tmp_path):
    "Another order of sums and another precision stand for another machine: no metric moves by more than the tolerance."
    from conftest import graphmer, only_run
    from graphmer_se.core import read_json
    from graphmer_se.evaluation.again import NEAR, differing
    run = only_run(smoke)
    for changes in (('threads=2',), ('precision=bf16',)):
        out = tmp_path/changes[0]
        graphmer('evaluate', run.name, '--tasks', 'words,leaves,search_named', *(x for c in changes for x in ('--set', c)), '-o', out, home=smoke)
        found = {k:v for p in (out/'evaluation').glob('*.json') for k, v in read_json(p).items()}
        assert len(found)>50 and differing(found, read_json(run/'metrics.json'), NEAR)==[]

if __name__=='__main__':
    made = same_anywhere('--graph' not in sys.argv)
    if '--graph' in sys.argv: print(json.dumps(made)); sys.exit(made!={k:v for k, v in json.loads((GOLDEN/'hashes.json').read_text()).items() if k in made})
    (GOLDEN/'hashes.json').write_text(json.dumps(made, indent=1)+'\n')
