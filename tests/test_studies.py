"""The next-vector study from the command line: worked off unattended, verified, made again."""
import json, shutil
import pyarrow as pa, pyarrow.compute as pc, pytest
from conftest import graphmer
from graphmer_se.core import GraphmerError, home as usual_home, read_table, write_json, write_table
from graphmer_se.evidence.verification import SUMS, seal
from graphmer_se.parsing.corpus import carried, fetch
from graphmer_se.studies import next_vector
from graphmer_se.studies.cells import cell_metrics

SPEC = """study = "next_vector"
beside = 2
[settings]
source = "starter"
each = 400
steps = 40
batch = 32
validate_every = 20
held_out_each = 40
random_candidates = 100
workers = 1
[[models]]
models = ["amn"]
cells = "300:1,2 600:1,2"
[[models]]
models = ["lvm_leaves"]
cells = "600:1"
"""

@pytest.fixture(scope='module')
def worked(tmp_path_factory):
    "A tiny study that the monitor has worked off, and a function that calls `graphmer` on it."
    fetch('starter'); carried('wordllama')
    home = tmp_path_factory.mktemp('study')
    (home/'data').mkdir(); (home/'data'/'raw').symlink_to(usual_home()/'data'/'raw')
    spec = home/'tiny.toml'
    spec.write_text(SPEC)
    def call(*args, check=True): return graphmer(*(spec if a=='SPEC' else a for a in args), home=home, check=check)
    call('runs', 'monitor', 'SPEC')
    return call, home/'studies'/'tiny'

def test_a_study_is_worked_off_and_tells(worked):
    call, folder = worked
    told = json.loads((folder/'study.json').read_text())
    assert {f'{e}/600/cosine' for e in ('amn', 'lvm_leaves', 'ridge', 'mean of context')}<=set(told['facts'])
    assert told['answers'][0][0].startswith('Does more data help') and '<svg' in (folder/'report.html').read_text()
    before = {p:p.stat().st_mtime_ns for p in folder.rglob('predictions.parquet')}
    assert '3 of 3 runs are done' in call('runs', 'monitor', 'SPEC').stdout
    assert before=={p:p.stat().st_mtime_ns for p in folder.rglob('predictions.parquet')}
    assert json.loads(call('next-vector', 'report', 'SPEC', '--json').stdout)==told

def test_one_cell_again_gives_the_same(worked):
    call, folder = worked
    told = call('next-vector', 'again', 'SPEC', 'amn', '300-1').stdout
    assert f'differs by 0 at most from {folder}/amn/300-1/predictions.parquet' in told
    assert 'no trained cell amn/300-9' in call('next-vector', 'again', 'SPEC', 'amn', '300-9', check=False).stderr

def test_one_cell_again_beside_the_kept_table(worked, tmp_path, monkeypatch):
    "What a clean clone does: the study was never run there."
    call, folder = worked
    study = next_vector.read_study(folder.parents[1]/'tiny.toml')
    monkeypatch.setenv('GRAPHMER_HOME', str(tmp_path))
    (tmp_path/'data').mkdir(); (tmp_path/'data'/'raw').symlink_to(folder.parents[1]/'data'/'raw')
    with pytest.raises(GraphmerError, match='tiny was not run here, and is not kept'): next_vector.repeat_cell(study, 'amn', '300-1', tmp_path/'cell')
    monkeypatch.setattr(next_vector, 'kept_folder', lambda study: folder)
    apart, where = next_vector.repeat_cell(study, 'amn', '600-2', tmp_path/'cell')
    assert apart<1e-6 and where==folder/'cells.parquet'

def test_a_study_that_was_altered_is_found(worked):
    call, folder = worked
    path = folder/'amn'/'metrics.json'
    before = path.read_bytes()
    metrics = json.loads(before)
    metrics['300-1']['cosine'] += .1
    write_json(metrics, path)
    done = call('next-vector', 'verify', 'SPEC', 'amn', check=False)
    assert done.returncode==1 and 'metrics.json does not follow' in done.stdout
    path.write_bytes(before)
    assert call('next-vector', 'verify', 'SPEC', 'amn').returncode==0

def test_predictions_that_are_not_of_the_parameters_are_found(worked, tmp_path):
    "Everything above them agrees: metrics and sums are made anew."
    call, folder = worked
    shutil.copytree(folder/'amn', tmp_path/'amn')
    rows = read_table(folder/'amn'/'300-1'/'predictions.parquet')
    column = rows.schema.get_field_index('cosine')
    write_table(rows.set_column(column, 'cosine', pc.add(rows['cosine'], pa.scalar(.01, rows['cosine'].type))), folder/'amn'/'300-1'/'predictions.parquet')
    write_json(cell_metrics(folder/'amn'), folder/'amn'/'metrics.json')
    (folder/'amn'/SUMS).unlink(); seal(folder/'amn')
    done = call('next-vector', 'verify', 'SPEC', 'amn', check=False)
    assert done.returncode==1 and 'amn/300-1: its parameters say something else' in done.stdout
    shutil.rmtree(folder/'amn'); shutil.copytree(tmp_path/'amn', folder/'amn')
    assert call('next-vector', 'verify', 'SPEC', 'amn').returncode==0
