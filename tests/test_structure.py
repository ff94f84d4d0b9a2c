"""The house keeps its shape: imports point one way, notebooks stay small, run notebooks are linear, nothing names a host."""
import ast, subprocess, sys
from pathlib import Path
import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
BOOKS = sorted(p for p in (ROOT/'nbs').rglob('*.ipynb') if '.ipynb_checkpoints' not in p.parts)
MAY_IMPORT = dict(core=set(), ontology={'core'}, parsing={'core', 'ontology'}, kg={'core', 'ontology', 'parsing'}, model={'core', 'ontology', 'parsing', 'kg'},
                  evaluation={'core', 'ontology', 'parsing', 'kg', 'model'}, use={'core', 'ontology', 'parsing', 'kg', 'model', 'evaluation'}, evidence={'core', 'ontology', 'evaluation.ranking', 'evaluation.protocol'}, cli={'core', 'ontology', 'parsing', 'kg', 'model', 'evaluation', 'use', 'evidence', 'studies'},
                  studies={'core', 'ontology', 'parsing', 'kg', 'model', 'evaluation', 'evidence'})
WITHOUT_TORCH = ('core', 'ontology', 'parsing', 'kg', 'evidence', 'evaluation/ranking', 'evaluation/baselines', 'evaluation/protocol')

def modules():
    return [p for p in sorted((ROOT/'graphmer_se').rglob('*.py')) if p.name not in ('__init__.py', '_modidx.py')]

def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import): yield from (a.name for a in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = ('graphmer_se',)+path.relative_to(ROOT/'graphmer_se').parts[:-1]     # nbdev writes relative imports
            base = package[:len(package)-node.level+1] if node.level else ()
            yield '.'.join([*base, *([node.module] if node.module else [])])

@pytest.mark.parametrize('path', modules(), ids=lambda p: p.relative_to(ROOT).as_posix())
def test_imports_point_to_earlier_wings(path):
    name = path.relative_to(ROOT/'graphmer_se').with_suffix('').as_posix()
    wing = name.split('/')[0]
    for target in imported(path):
        if target.startswith('graphmer_se.'):
            other = target.split('.')[1]
            assert other==wing or other in MAY_IMPORT[wing] or '.'.join(target.split('.')[1:3]) in MAY_IMPORT[wing], f'{name} imports {target}'
        if target.split('.')[0]=='torch': assert not name.startswith(WITHOUT_TORCH), f'{name} imports torch'

def test_what_evidence_stands_on_stands_on_core_alone():
    for room in sorted(r for r in MAY_IMPORT['evidence'] if '.' in r):
        targets = {t for t in imported(ROOT/'graphmer_se'/f'{room.replace(".", "/")}.py') if t.startswith('graphmer_se.')}
        assert all(t.startswith('graphmer_se.core') or t.removeprefix('graphmer_se.') in MAY_IMPORT['evidence'] for t in targets), targets

def test_modules_do_not_import_each_other_in_a_circle():
    import networkx as nx
    graph = nx.DiGraph()
    for path in modules():
        name = 'graphmer_se.'+path.relative_to(ROOT/'graphmer_se').with_suffix('').as_posix().replace('/', '.')
        graph.add_edges_from((name, t) for t in imported(path) if t.startswith('graphmer_se.'))
    assert nx.is_directed_acyclic_graph(graph), nx.find_cycle(graph)

@pytest.mark.parametrize('path', BOOKS, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_notebook_caps(path):
    book = nbformat.read(path, as_version=4)
    assert len(book.cells)<=100 and path.stat().st_size<=100_000
    outputs = sum(len(str(o)) for c in book.cells for o in c.get('outputs', ()))
    assert outputs<=25_000
    for cell in book.cells:
        if cell.cell_type=='code' and '#| export' in cell.source: assert len(cell.source.splitlines())<=60, cell.source[:80]
        for o in cell.get('outputs', ()): assert o.output_type!='error' and 'it/s' not in str(o)

@pytest.mark.parametrize('path', modules(), ids=lambda p: p.relative_to(ROOT).as_posix())
def test_modules_stay_readable(path): assert len(path.read_text().splitlines())<=500

@pytest.mark.parametrize('path', sorted((ROOT/'nbs'/'run').glob('*.ipynb')), ids=lambda p: p.name)
def test_run_notebooks_are_linear_and_take_literals(path):
    cells = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type=='code']
    tagged = [c for c in cells if 'parameters' in c.metadata.get('tags', ())]
    assert len(tagged)==1
    for node in ast.parse(tagged[0].source).body:
        assert isinstance(node, ast.Assign)
        ast.literal_eval(node.value)
    for cell in cells: assert not any(isinstance(n, (ast.FunctionDef, ast.ClassDef)) for n in ast.walk(ast.parse(cell.source)))

def test_notebooks_take_exactly_the_keys_of_a_profile():
    "Every key reaches a notebook, no notebook takes another, and the defaults say the same."
    import papermill
    from dataclasses import asdict
    from graphmer_se.model.profiles import defaults
    from graphmer_se.studies.cells import CellsConfig
    declared, known, study = {}, defaults(), ROOT/'nbs'/'run'/'next_vector.ipynb'
    assert {k:ast.literal_eval(v['default']) for k, v in papermill.inspect_notebook(str(study)).items() if k!='folder'}==asdict(CellsConfig())
    for path in sorted(p for p in (ROOT/'nbs'/'run').glob('*.ipynb') if p!=study): declared |= {(path.stem, k):ast.literal_eval(v['default']) for k, v in papermill.inspect_notebook(str(path)).items()}
    assert {k for _, k in declared}-{'run', 'source'}==set(known)
    assert {k for (_, k), value in declared.items() if k in known and value!=known[k]}==set()

def test_no_registry_host_and_no_machine_path_is_named():
    pattern = r'pythonhosted\.org|deb\.debian\.org|registry\.npmjs|pypi\.org/simple|/work/(main|scratch)|/root/'
    found = subprocess.run(['git', 'grep', '-nIE', pattern, '--', ':!tests/test_structure.py'], cwd=ROOT, capture_output=True, text=True).stdout
    assert not found, found

def test_the_results_table_is_made_from_the_reference_runs():
    from graphmer_se.evidence.results import headline_table
    assert str(headline_table()) in (ROOT/'README.md').read_text(), 'execute nbs/index.ipynb and run `make sync`'

@pytest.mark.parametrize('path', sorted((ROOT/'benchmarks').glob('*.py')), ids=lambda p: p.name)
def test_benchmarks_import_what_is_there(path):
    "They run by hand, so nothing else would notice that a name has moved."
    import importlib
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or '').startswith('graphmer_se'):
            room = importlib.import_module(node.module)
            for a in node.names: assert hasattr(room, a.name) or importlib.util.find_spec(f'{node.module}.{a.name}'), f'{path.name}: {node.module} has no {a.name}'

def test_nothing_is_unpickled():
    "Loading a run, a model or a graph never runs code that somebody else wrote."
    found = subprocess.run(['git', 'grep', '-nE', r'import (pickle|dill|shelve)|pickle\.|torch\.load|allow_pickle|joblib\.load|yaml\.(unsafe_)?load\(|\beval\(', '--', 'graphmer_se/*.py', ':!*_modidx.py'], cwd=ROOT, capture_output=True, text=True).stdout
    assert not [l for l in found.splitlines() if '.eval()' not in l], found

def test_no_dead_imports_or_variables():
    done = subprocess.run([sys.executable, '-m', 'pyflakes', 'graphmer_se', *map(str, sorted((ROOT/'tests').glob('*.py')))], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode==0, done.stdout+done.stderr

def test_every_pin_installs_on_the_oldest_python_we_name():
    "Debian 12 has 3.11.2; a pin that needs 3.11.5 breaks the set-up there."
    from importlib import metadata
    from packaging.specifiers import SpecifierSet
    pinned = [line.split('==')[0] for line in (ROOT/'constraints.txt').read_text().splitlines() if '==' in line]
    assert len(pinned)>50
    for name in pinned:
        try: needs = metadata.metadata(name).get('Requires-Python')
        except metadata.PackageNotFoundError: continue          # a pin of an extra that is not installed here
        assert '3.11.2' in SpecifierSet(needs or ''), f'{name} needs Python {needs}'
