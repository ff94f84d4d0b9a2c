"""Forgeries are found, gates hold, what published numbers come from can be checked, and runs are managed without losing anything."""
import json, os, re, shutil, signal, subprocess, sysconfig, time
from pathlib import Path
import jsonschema
import nbformat
import numpy as np
import pyarrow as pa
import pytest
from conftest import GRAPHMER, graphmer, only_run
from graphmer_se.core import read_arrays, read_json, read_table, root, write_arrays, write_json, write_table
from graphmer_se.evidence.claims import check_claims
from graphmer_se.evidence.gates import every_verdict
from graphmer_se.evidence.provenance import write_provenance
from graphmer_se.evidence.verification import SUMS, UNREADABLE, WHOLE, make_metadata, seal, verify
from graphmer_se.kg.store import load

def failing(run)->set: return {f.check for f in verify(run) if not f.passed}

def edit_json(path, change):
    found = read_json(path); change(found); write_json(found, path)

def edit_table(path, change):
    frame = read_table(path).to_pandas(); change(frame)
    write_table(pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None), path)

def edit_notebook(path, change):
    book = nbformat.read(path, as_version=4); change(book); nbformat.write(book, path)

def show_more(book):
    "A shown accuracy becomes a better one."
    for cell in book.cells:
        for o in cell.get('outputs', ()):
            text = o.get('data', {}).get('text/plain', '')
            if "'words/encoder/accuracy'" in text: o['data']['text/plain'] = text.replace("'words/encoder/accuracy': 0.", "'words/encoder/accuracy': 0.9"); return
    raise AssertionError('no such output')

def inject(book):
    cell = next(c for c in book.cells if 'injected-parameters' in c.metadata.get('tags', ()))
    assert 'steps = 30' in cell.source
    cell.source = cell.source.replace('steps = 30', 'steps = 5000')

def better_predictions(run):
    "Every rank is 1, and metrics follow from that: what is left is where the questions come from."
    edit_table(run/'predictions'/'edges.parquet', lambda f: f.__setitem__('repository', 'a-repository-of-training'))

def perturbed(run):
    path = run/'checkpoints'/'final'/'model.safetensors'
    arrays = read_arrays(path); name = sorted(arrays)[0]
    write_arrays(arrays|{name:arrays[name]+1e-3}, path)

def metadata_again(run)->dict:
    "Fresh metadata, as a careful forger would write; the old, where the forgery left nothing to make it from."
    try: return make_metadata(run)
    except (*UNREADABLE, jsonschema.ValidationError): return read_json(run/'metadata.json')

M, P = 'metrics.json', 'predictions'
FORGERIES = {
    'better metric': ('metrics', lambda r: edit_json(r/M, lambda m: m.update({'edges/encoder/mrr':.99}))),
    'narrower interval': ('metrics', lambda r: edit_json(r/M, lambda m: m.update({'edges/fusion/mrr_low':m['edges/fusion/mrr']}))),
    'a difference that holds': ('metrics', lambda r: edit_json(r/M, lambda m: m.update({k:True for k in m if k.endswith('_holds')}))),
    'better by relation': ('metrics', lambda r: edit_json(r/M, lambda m: m.update({'edges/fusion/calls/mrr':1.}))),
    'metric out of nothing': ('metrics', lambda r: edit_json(r/M, lambda m: m.update({'beauty/encoder/mrr':.9}))),
    'metric left out': ('metrics', lambda r: edit_json(r/M, lambda m: m.pop('edges/encoder/mrr'))),
    'metric of a task': ('metrics', lambda r: [edit_json(r/f, lambda m: m.update({'edges/encoder/mrr':.99})) for f in (M, 'evaluation/edges.json')]),
    'metric without predictions': ('metrics', lambda r: (r/P/'words.parquet').unlink()),
    'more triples': ('metrics', lambda r: edit_json(r/M, lambda m: m.update({'kg/triples':10**6}))),
    'ranks outside their list': ('predictions', lambda r: edit_table(r/P/'edges.parquet', lambda f: f.__setitem__('rank fusion', 0.5))),
    'questions about training code': ('predictions', better_predictions),
    'lower last loss': ('metrics', lambda r: edit_json(r/M, lambda m: m.update({'training/last_loss':.01}))),
    'lower last loss, twice': ('training log', lambda r: [edit_json(r/M, lambda m: m.update({'training/last_loss':.01})), edit_json(r/'train.json', lambda t: t.update(last_loss=.01))]),
    'missing step': ('training log', lambda r: (r/'metrics.csv').write_text('\n'.join((r/'metrics.csv').read_text().splitlines()[:-1])+'\n')),
    'a loss that is no number': ('training log', lambda r: (r/'metrics.csv').write_text((r/'metrics.csv').read_text().replace('\n7,', '\n7,nan', 1))),
    'other counts': ('knowledge graph', lambda r: edit_json(r/'kg'/'manifest.json', lambda m: m['statistics'].update(triples=10**6))),
    'other counts by relation': ('knowledge graph', lambda r: edit_json(r/'kg'/'manifest.json', lambda m: m['statistics']['relations']['calls'].update(resolved=10**6))),
    'swapped table': ('knowledge graph', lambda r: shutil.copy(r/'kg'/'triples'/'json.parquet', r/'kg'/'triples'/'html.parquet')),
    'table from outside': ('knowledge graph', lambda r: edit_json(r/'kg'/'manifest.json', lambda m: m['tables'].update({'triples/../../../x':'0'*64}))),
    'table nobody knows': ('knowledge graph', lambda r: shutil.copy(r/'kg'/'triples'/'json.parquet', r/'kg'/'triples'/'more.parquet')),
    'better checks of the ontology': ('knowledge graph', lambda r: edit_json(r/'kg'/'manifest.json', lambda m: m['checks']['type'].update(looked_at=10**6))),
    'another licence': ('inputs', lambda r: edit_json(r/'kg'/'manifest.json', lambda m: m['repositories'][0].update(license='MIT'))),
    'more units': ('chains', lambda r: edit_json(r/'encode.json', lambda e: e.update(units=10**6))),
    'fewer test edges set aside': ('leakage', lambda r: edit_json(r/'leakage.json', lambda l: l.update(test_edges_known_under_another_relation_and_not_asked=-1))),
    'better relations in validation': ('training log', lambda r: (r/'validation.csv').write_text('\n'.join(re.sub(r'(^\d+,\w+,\d+,)[^,]+', r'\g<1>0.99', l) for l in (r/'validation.csv').read_text().splitlines())+'\n')),
    'fewer parameters': ('checkpoint', lambda r: edit_json(r/'train.json', lambda t: t['parameters'].update(total=1))),
    'NaN in the checkpoint': ('checkpoint', lambda r: write_arrays({n:np.full_like(a, np.nan) for n, a in read_arrays(r/'checkpoints'/'final'/'model.safetensors').items()}, r/'checkpoints'/'final'/'model.safetensors')),
    'another tensor': ('checkpoint', perturbed),
    'checkpoint of another training': ('checkpoint', lambda r: edit_json(r/'checkpoints'/'final'/'state.json', lambda s: s['train'].update(seed=7))),
    'checkpoint of another step': ('checkpoint', lambda r: edit_json(r/'checkpoints'/'final'/'state.json', lambda s: s.update(step=9))),
    'hidden owners': ('leakage', lambda r: edit_json(r/'leakage.json', lambda l: l.update(owners_on_both_sides=['someone']))),
    'fewer files in training': ('leakage', lambda r: edit_json(r/'leakage.json', lambda l: l['files'].update(train=1))),
    'another split': ('leakage', lambda r: edit_json(r/'split.json', lambda s: s.update(parts=['train']*len(s['parts'])))),
    'other seed': ('notebooks', lambda r: edit_json(r/'params.json', lambda p: p.update(seed=1))),
    'better numbers in a notebook': ('notebooks', lambda r: edit_notebook(r/'notebooks'/'04_evaluate.ipynb', show_more)),
    'other parameters in a notebook': ('notebooks', lambda r: edit_notebook(r/'notebooks'/'03_train.ipynb', inject)),
    'an error in a notebook': ('notebooks', lambda r: edit_notebook(r/'notebooks'/'03_train.ipynb', lambda b: b.cells[-1].outputs.append(nbformat.v4.new_output('error', ename='E', evalue='x', traceback=[])))),
    'no notebooks': ('notebooks', lambda r: shutil.rmtree(r/'notebooks')),
    'field outside the schema': ('metadata', lambda r: edit_json(r/'metadata.json', lambda m: m.update(award='best'))),
    'field inside the schema': ('metadata', lambda r: edit_json(r/'metadata.json', lambda m: m['environment'].update(cpu='a faster one'))),
    'no metadata': ('metadata', lambda r: (r/'metadata.json').unlink()),
    'no environment': ('environment', lambda r: (r/'environment.json').unlink()),
    'a file that is no JSON': ('leakage', lambda r: (r/'leakage.json').write_text('{')),
}
FRESH = {'metadata', 'environment'}      # what these plant would be mended, or cannot be made, by writing metadata anew

@pytest.mark.parametrize('name', FORGERIES)
def test_a_resealed_forgery_is_found(name, smoke, tmp_path):
    "Each forgery gets fresh metadata, where that can be made, and fresh sums: only recomputation can find it."
    check, forge = FORGERIES[name]
    run = tmp_path/only_run(smoke).name
    shutil.copytree(only_run(smoke), run)
    forge(run)
    if check not in FRESH:
        write_json(metadata_again(run), run/'metadata.json')
    seal(run)
    assert check in failing(run)

def test_every_untouched_check_passes(smoke): assert failing(only_run(smoke))==set()

@pytest.mark.parametrize('how', ['edited', 'truncated', 'swapped', 'added', 'removed', 'renamed', 'linked out', 'planted ..', 'nested sums'])
def test_changed_files_are_found_and_named(how, smoke, tmp_path):
    run = tmp_path/'run'
    shutil.copytree(only_run(smoke), run)
    a, b, outside = run/'leakage.json', run/'split.json', tmp_path/'outside.json'
    outside.write_text('{}')
    if how=='edited': a.write_text(a.read_text()+' ')
    if how=='truncated': a.write_bytes(a.read_bytes()[:-3])
    if how=='swapped': text = a.read_bytes(); a.write_bytes(b.read_bytes()); b.write_bytes(text)
    if how=='added': a = run/'extra.json'; a.write_text('{}')
    if how=='removed': a.unlink()
    if how=='renamed': a.rename(run/'leak.json')
    if how=='linked out': a.unlink(); a.symlink_to(outside)
    if how=='planted ..': (run/SUMS).write_text((run/SUMS).read_text()+'0'*64+'  ../outside.json\n'); a = outside
    if how=='nested sums': a = run/'kg'/SUMS; a.write_text('')
    found = [f for f in verify(run) if not f.passed]
    assert found and all(f.check=='checksums' for f in found) and any(a.name in f.detail for f in found)
    done = graphmer('verify', run, home=smoke, check=False)
    assert done.returncode==1 and 'FAILED checksums' in done.stdout

def test_only_asking_again_finds_predictions_that_are_made_up(smoke, tmp_path):
    "Ranks of 1 from the predictions up to the metrics: all that is written agrees, and the checkpoint does not."
    from graphmer_se.evaluation.protocol import numbers_of, recomputed
    run = tmp_path/only_run(smoke).name
    shutil.copytree(only_run(smoke), run)
    def improve(frame):
        for c in frame:
            if c=='rank encoder': frame[c] = 1.
    edit_table(run/P/'edges.parquet', improve)
    made = numbers_of('edges', read_table(run/P/'edges.parquet').to_pandas(), read_json(run/'params.json')['seed'])
    edit_json(run/'evaluation'/'edges.json', lambda m: m.update(made))
    edit_json(run/M, lambda m: m.update(recomputed(run)))
    (run/'notebooks'/'04_evaluate.ipynb').write_text((run/'notebooks'/'04_evaluate.ipynb').read_text().replace("'edges/encoder/mrr'", "'edges/encoder/mmr'"))
    write_json(make_metadata(run), run/'metadata.json'); seal(run)
    assert failing(run)==set()
    done = graphmer('verify', run, '--deep', home=smoke, check=False)
    assert done.returncode==1 and 'FAILED asked again' in done.stdout and 'edges/encoder' in done.stdout

def test_a_run_made_again_is_the_same_bytes(smoke):
    done = graphmer('verify', only_run(smoke).name, '--rerun', home=smoke)
    assert 'ok     made again' in done.stdout and len(list((smoke/'runs').glob('*/params.json')))==1

def test_gates_decide(smoke):
    run = only_run(smoke)
    done = graphmer('verify', run.name, '--gates', 'quality', home=smoke, check=False)
    assert done.returncode==1 and 'FAILED quality gate     stable over 5,000 steps' in done.stdout
    every = json.loads(graphmer('verify', '--all', '--json', home=smoke, check=False).stdout)
    row = next(r for r in every['runs'] if r['run']==run.name)
    assert not row['failures'] and any(not g['passed'] for g in row['gates']) and not any(g['required'] for g in row['gates'])
    assert graphmer('verify', run.name, '--gates', 'speed', home=smoke, check=False).returncode==2
    assert graphmer('verify', home=smoke, check=False).returncode==2

def test_a_promise_that_is_not_kept_ends_the_run(corpus, tmp_path):
    done = graphmer('run', corpus, '--profile', 'smoke', '--set', 'gates=production', '--set', 'tasks=leaves', '--set', 'steps=6', home=tmp_path, check=False)
    assert done.returncode==2 and 'enough facts' in done.stderr and not (only_run(tmp_path)/SUMS).exists()
    listed = json.loads(graphmer('runs', 'list', '--json', home=tmp_path).stdout)
    assert [r['state'] for r in listed]==['failed in verify']
    assert 'no group of gates' in graphmer('run', corpus, '--profile', 'smoke', '--set', 'gates=speed', home=tmp_path, check=False).stderr

def test_published_runs_verify_and_published_figures_are_theirs():
    published = [v for v in every_verdict()[0] if v.run.parent.name=='reference']
    assert published and not [f for v in published for f in v.failures]
    assert check_claims()==[]

def test_a_reference_run_that_is_altered_is_found(tmp_path):
    for source in sorted((root()/'runs'/'reference').glob(f'*/{WHOLE}')):
        run = tmp_path/source.parent.name
        shutil.copytree(source.parent, run)
        assert failing(run)==set()
        edit_json(run/M, lambda m: m.update({'edges/encoder/mrr':.99})); seal(run)
        assert {'reference', 'metrics'}<=failing(run)
        (run/WHOLE).write_text((run/WHOLE).read_text().replace('metrics.json', 'metrics.jsom')); seal(run)
        assert 'reference' in failing(run)

def test_provenance_reads_back(smoke, tmp_path):
    from prov.model import ProvActivity, ProvDocument, ProvEntity, ProvGeneration, ProvUsage
    run = only_run(smoke)
    document = ProvDocument.deserialize(str(write_provenance(run, tmp_path/'p.json', {})), format='json')
    entities = {str(e.identifier) for e in document.get_records(ProvEntity)}
    files = [l.split('  ')[1] for l in (run/SUMS).read_text().splitlines()]
    assert {f'run:{f}' for f in files}<=entities and 'src:json/json/decoder.py' in entities
    activities = {str(a.identifier) for a in document.get_records(ProvActivity)}
    for record in (*document.get_records(ProvUsage), *document.get_records(ProvGeneration)):
        ends = {str(k):str(v) for k, v in record.formal_attributes if v is not None}
        assert ends['prov:entity'] in entities and ends['prov:activity'] in activities

def test_archives_and_cleaning_lose_nothing(smoke, tmp_path):
    home = tmp_path/'home'
    shutil.copytree(only_run(smoke), home/'runs'/only_run(smoke).name)
    name = only_run(home).name
    said = graphmer('runs', 'archive', name, '-o', tmp_path/'packed', home=home).stdout
    assert 'read back' in said and subprocess.run(['sha256sum', '-c', '--quiet', f'{name}.tar.zst.sha256'], cwd=tmp_path/'packed').returncode==0
    before = sorted(p for p in only_run(home).rglob('*'))
    assert 'nothing may go' in graphmer('runs', 'clean', home=home).stdout and sorted(p for p in only_run(home).rglob('*'))==before
    half = home/'runs'/'half'
    half.mkdir(); shutil.copy(only_run(smoke)/'params.json', half/'params.json')
    os.utime(half/'params.json', (1, 1))
    assert 'would go' in graphmer('runs', 'clean', home=home).stdout and half.exists()
    graphmer('runs', 'clean', '--execute', home=home)
    assert not half.exists() and failing(home/'runs'/name)==set()

def test_a_run_in_use_is_left_alone(smoke, corpus, tmp_path):
    "A second process is refused while the first one lives; one that was killed holds nothing."
    home = tmp_path/'home'
    env = os.environ|{'GRAPHMER_HOME':str(home), 'GRAPHMER_QUIET':'1'}
    first = subprocess.Popen([GRAPHMER, 'run', str(corpus), '--profile', 'smoke', '--name', 'one'], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        deadline = time.time()+120
        while not (home/'runs'/'one'/'params.json').exists() and time.time()<deadline: time.sleep(.05)
        assert json.loads(graphmer('runs', 'list', '--json', home=home).stdout)[0]['state']=='running'
        second = graphmer('run', corpus, '--profile', 'smoke', '--name', 'one', home=home, check=False)
        assert second.returncode==2 and 'another process is writing' in second.stderr
    finally: os.killpg(first.pid, signal.SIGKILL); first.wait()
    assert json.loads(graphmer('runs', 'list', '--json', home=home).stdout)[0]['state'].startswith('unfinished')

def test_the_monitor_survives_being_killed(corpus, tmp_path):
    "Two runs, the second of which cannot work; the monitor is killed in the first, called again, and ends with both accounted for."
    home, spec = tmp_path/'home', tmp_path/'night.toml'
    few = 'set = {steps = 6, tasks = "leaves", minilm = false'
    spec.write_text(f'[limits]\npoll = 0.2\n[[run]]\nname = "good"\nsource = "{corpus}"\nprofile = "smoke"\n{few}}}\n[[run]]\nname = "bad"\nsource = "{corpus}"\nprofile = "smoke"\n{few}, lr = 1e30}}\n')
    env = os.environ|{'GRAPHMER_HOME':str(home), 'GRAPHMER_QUIET':'1'}
    first = subprocess.Popen([GRAPHMER, 'runs', 'monitor', str(spec)], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.time()+120
    while not (home/'runs'/'good'/'stages.json').exists() and time.time()<deadline: time.sleep(.05)
    assert 'good' in (home/'monitor'/'night'/'status.html').read_text()
    first.send_signal(signal.SIGKILL); first.wait()                    # its run lives on, and is waited for
    done = graphmer('runs', 'monitor', spec, '--json', home=home, check=False)
    found = json.loads(done.stdout)
    assert done.returncode==1 and found['failed']==['bad'] and found['finished']==1
    good, bad = found['runs']
    assert good['done'] and set(good['seconds'])=={'run', 'verify', 'deep'} and 'leaves/encoder/accuracy_non_copy' in good['metrics'] and 'loss is' in bad['problem']
    assert 'FAILED' in (home/'monitor'/'night'/'status.html').read_text() and (home/'monitor'/'night'/'comparison.html').exists()
    (tmp_path/'late.toml').write_text('[limits]\nvalidation = 0.2\n'+spec.read_text().split('[[run]]\nname = "bad"')[0].replace('[limits]\npoll = 0.2\n', ''))
    late = json.loads(graphmer('runs', 'monitor', tmp_path/'late.toml', '--json', home=home, check=False).stdout)
    assert 'took more than 0.2 s' in late['runs'][0]['problem']          # a run that is finished is not made again; its test has another limit
    again = graphmer('runs', 'monitor', spec, home=home, check=False)
    assert 'good: run' not in again.stderr and 'bad: run' in again.stderr          # what is done is not done again

def test_an_encoder_that_is_trained_is_taken_over(smoke, corpus):
    "A new evaluation of the same training: nothing is trained again, other questions are asked, and the run verifies."
    first = only_run(smoke)
    try:
        done = graphmer('run', corpus, '--profile', 'smoke', '--set', 'test_edges=30', '--name', 'fewer', '--trained', first.name, home=smoke)
        run = smoke/'runs'/'fewer'
        assert done.stderr.count('done before')==3 and failing(run)==set() and 0<read_json(run/M)['edges/questions']<=30
        assert (run/'checkpoints'/'final'/'model.safetensors').read_bytes()==(first/'checkpoints'/'final'/'model.safetensors').read_bytes()
        assert read_json(run/'environment.json')['stages']['train']['borrowed']==first.name
        other = graphmer('run', corpus, '--profile', 'smoke', '--set', 'steps=40', '--name', 'longer', '--trained', first.name, home=smoke, check=False)
        assert other.returncode==2 and 'was trained with steps = 30, not 40' in other.stderr
        kept = smoke/'kept'/first.name                                  # as `runs keep` leaves it: an encoder, and no graph
        shutil.copytree(first, kept, ignore=lambda folder, names: [n for n in names if n.endswith(('.parquet', 'chains.safetensors', 'candidates.safetensors'))])
        refused = graphmer('run', corpus, '--profile', 'smoke', '--name', 'anew', '--trained', kept, home=smoke, check=False)
        assert refused.returncode==2 and 'keeps no graph and no chains' in refused.stderr
        done = graphmer('run', corpus, '--profile', 'smoke', '--set', 'tasks=leaves', '--set', 'minilm=false', '--name', 'anew', '--encoder', kept, home=smoke)
        assert done.stderr.count('train: done before')==1 and failing(smoke/'runs'/'anew')==set()
        found, there = read_json(smoke/'runs'/'anew'/M), read_json(first/M)      # the same code here, so the same graph, questions and answers
        assert len(leaves := [k for k in found if k.startswith(('leaves/', 'kg/'))])>9 and all(found[k]==there[k] for k in leaves)
    finally:
        shutil.rmtree(smoke/'kept', ignore_errors=True)
        for name in ('fewer', 'longer', 'anew'): shutil.rmtree(smoke/'runs'/name, ignore_errors=True)

def test_an_encoder_is_asked_about_repositories_that_its_run_never_had(smoke, corpus, tmp_path):
    "Another source takes the place of the test repositories: nothing is trained, what was training code stays out of the test, and the run verifies."
    first, library, made = only_run(smoke), Path(sysconfig.get_paths()['stdlib']), []
    split = read_json(first/'split.json')
    trained = next(r for r, part in zip(load(first/'kg').files.repository, split['parts']) if part=='train')
    for name in ('email', 'logging'):
        shutil.copytree(library/name, tmp_path/'new'/name/name, ignore=shutil.ignore_patterns('__pycache__'))
        (tmp_path/'new'/name/'pyproject.toml').write_text(f'[project]\nname = "{name}"\nversion = "1.0"\nlicense = "PSF-2.0"\n')
    copied = max((corpus/trained/trained).rglob('*.py'), key=lambda f: f.stat().st_size)
    shutil.copyfile(copied, tmp_path/'new'/'email'/'email'/'copied.py')
    before = set((smoke/'runs').iterdir())
    try:
        done = graphmer('evaluate', first.name, '--on', tmp_path/'new', '--tasks', 'leaves,edges', home=smoke)
        (run,) = made = sorted(set((smoke/'runs').iterdir())-before)
        assert 'train: done before' in done.stderr and failing(run)==set()
        assert (run/'checkpoints'/'final'/'model.safetensors').read_bytes()==(first/'checkpoints'/'final'/'model.safetensors').read_bytes()
        rows = read_table(run/'predictions'/'edges.parquet').to_pandas()
        assert set(rows.repository)=={'email', 'logging'} and read_json(run/M)['edges/questions']==len(rows)>20
        files, taken = load(run/'kg').files, read_json(run/'split.json')['repeated']
        assert 'email/copied.py' in set(files.file[[int(i) for i in taken]])
        assert set(load(run/'kg').files.repository)-{'email', 'logging'}=={r for r, part in zip(load(first/'kg').files.repository, split['parts']) if part!='test'}
        assert 'asks the encoder of' in graphmer('verify', run.name, '--rerun', home=smoke, check=False).stderr
        assert 'cannot be tested on' in graphmer('evaluate', first.name, '--on', corpus/trained, home=smoke, check=False).stderr
        assert 'belongs to training' in graphmer('evaluate', first.name, '--on', tmp_path/'new', '--set', 'steps=9', home=smoke, check=False).stderr
    finally:
        for folder in made: shutil.rmtree(folder, ignore_errors=True)
