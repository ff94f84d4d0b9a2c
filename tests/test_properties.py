"""Properties: parsing never raises and always says the same; a graph has the same bytes for any number of workers and any order of files."""
import ast, marshal, runpy
import numpy as np
from hypothesis import HealthCheck, given, settings, strategies as st
from graphmer_se.core import root
from graphmer_se.kg.build import build, build_to
from graphmer_se.kg.edges import OFFSET, Rows
from graphmer_se.kg.python_edges import python_edges
from graphmer_se.kg.python_names import Modules
from graphmer_se.kg.store import data_hash
from graphmer_se.model.batches import MaskConfig, mask_words
from graphmer_se.evaluation.ranking import realistic_rank
from graphmer_se.parsing.corpus import Repository
from graphmer_se.parsing import java
from graphmer_se.parsing.facts import parse

SOURCES = [p.read_bytes() for p in sorted((root()/'graphmer_se').rglob('*.py'))]
JAVA = [*sorted((root()/'tests'/'java').glob('*.java')), root()/'data'/'java_library'/'Declarations.java']
JAVA = [p.read_bytes() for p in JAVA]
QUIET = dict(deadline=None, suppress_health_check=list(HealthCheck))

@settings(max_examples=120, **QUIET)
@given(st.sampled_from(SOURCES), st.sampled_from(SOURCES), st.integers(0, 4000), st.integers(0, 4000), st.binary(max_size=12))
def test_spliced_sources_never_raise_and_parse_alike(a, b, i, j, noise):
    source = a[:i]+noise+b[j:j+3000]
    facts = parse(source, 'python')
    assert facts==parse(source, 'python')
    for d in facts.definitions:
        assert 0<=d.place[0]<=d.place[1]<=len(source)
        assert d.name=='<lambda>' or source[slice(*d.name_place)].decode('utf-8', 'replace')==d.name
    for x in (*facts.sites, *facts.mentions): assert 0<=x.start<=x.end<=len(source) and 0<=x.scope<len(facts.scopes)
    for _, _, name, start, _ in facts.attributes: assert source[start:start+len(name.encode())].decode('utf-8', 'replace')==name
    for *_, name, starts in facts.free_reads: assert all(source[s:s+len(name.encode())].decode('utf-8', 'replace')==name for s in starts)

@settings(max_examples=150, **QUIET)
@given(st.sampled_from(JAVA), st.sampled_from(JAVA), st.integers(0, 6000), st.integers(0, 6000), st.binary(max_size=12))
def test_spliced_java_never_raises_and_parses_alike(a, b, i, j, noise):
    source = a[:i]+noise+b[j:j+3000]
    facts = parse(source, 'java')
    assert facts==parse(source, 'java')==java.from_plain(marshal.loads(marshal.dumps(java.plain(facts))))
    names = [d.qualname for d in facts.definitions]
    assert len(set(names))==len(names)
    for n, d in enumerate(facts.definitions):
        assert 0<=d.place[0]<=d.place[1]<=len(source) and d.owner<n and d.within<n
        assert d.name=='<anonymous>' or d.name_place==(0, 0) or source[slice(*d.name_place)].decode('utf-8', 'replace')==d.name

@settings(max_examples=8, **QUIET)
@given(st.randoms(use_true_random=False))
def test_a_spliced_repository_builds_the_same_graph_with_any_number_of_workers(tmp_path_factory, rng):
    folder = tmp_path_factory.mktemp('r')
    repositories = []
    for name in ('a', 'b'):
        (folder/name/'p').mkdir(parents=True); (folder/name/'p'/'__init__.py').write_text('')
        for k in range(4):
            a, b = rng.choice(SOURCES), rng.choice(SOURCES)
            (folder/name/'p'/f'm{k}.py').write_bytes(a[:rng.randrange(4000)]+b[rng.randrange(4000):][:4000])
            a, b = rng.choice(JAVA), rng.choice(JAVA)
            (folder/name/'p'/f'M{k}.java').write_bytes(a[:rng.randrange(6000)]+b[rng.randrange(6000):][:4000])
        repositories.append(Repository(name, '1', 'MIT', folder/name))
    one, two = build(repositories), build(repositories[::-1], workers=2)
    assert one.tables==two.tables
    ids = set(one.entities.id)
    known = one.triples[one.triples.status!='unresolved']
    assert set(one.triples['head'])<=ids and set(known['tail'])<=ids
    assert not one.triples.duplicated(['head', 'relation', 'tail']).any() and not one.entities.id.duplicated().any()

SILENT = runpy.run_path(str(root()/'benchmarks'/'silent_calls.py'))['silent']
EXPRESSIONS = ('{a}({b})', '{a}({b}, *{c}, k={a}, **{b})', '({a}).get({b})', '({a})[{b}]', '({a})[{b}:{c}]', '[*{a}, {b}]', '[{a}, *{b}]', '{{*{a}}}', '({a}, {b})', '{{{a}: {b}, **{c}}}',
    '({a} if {b} else {c})', '({a} or {b} and not {c})', '({a} + {b} * {c})', '-({a})', '({a} < {b} in {c})', '[{a} for n in {b} if {c}]', '{{{a}: {b} for n, m in {c}}}', '({a} for n in {b})',
    '(lambda n, m={a}: {b})', 'f"{{{a}!r:>{{{b}}}}}"', '(n := {a})', '({a})({b})', '({a})[{b}]({c})', 'super().get({a})', 'type({a}).go({b})', '(yield {a})', '*{a}, {b}')
STATEMENTS = ('{a}', 'm = {a}', 'm.x = {a}', 'type({a}).x = {b}', '({a}).x = {b}', '({a})[{b}] = {c}', 'm += {a}', 'm[{a}] += {b}', 'n, *m = *{a}, {b}', 'm: int = {a}', 'del ({a})[{b}], ({c}).x',
    'assert {a}, {b}', 'raise {a} from {b}', 'return {a}', 'return *{a}, {b}', 'for n in {a}: {b}', 'for n in *{a}, {b}: {c}\nelse: {a}', 'while {a}: {b}\nelse: {c}', 'while True:\n  break\n  {a}\n{b}',
    'if {a}: {b}\nelif {c}: {a}\nelse: {b}', 'with {a} as n, {b}: {c}', 'with ({a}): raise {b}', 'try: raise {a}\nexcept ({b}, Wrong): {c}\nelse: {a}\nfinally: {b}',
    'try: return {a}\nexcept* {b} as n: {c}\nelse: {a}', '@{a}\ndef g(x={b}, *, y={c}): {a}', '@g.on({a})\nclass G({b}, metaclass={c}): x = {a}',
    'match {a}:\n  case [n, 1] if {b}: {c}\n  case _: {a}', 'async def g():\n  async with {a} as n: await {b}\n  async for n in {c}: [m async for m in {a}]', 'lambda: {a}', 'm = {a}; return; {b}')

@st.composite
def filled(draw, forms, parts): return draw(st.sampled_from(forms)).format(a=draw(parts), b=draw(parts), c=draw(parts))

EXPRESSION = st.recursive(st.sampled_from(('n', 'm', 'g', 'C', '1', '"t"', 'None', 'g(n)', 'n.go(1)', 'C()', 'unknown(m)', '__send(n)', 'self.go()')), lambda parts: filled(EXPRESSIONS, parts), max_leaves=12)

@settings(max_examples=200, **QUIET)
@given(st.lists(filled(STATEMENTS, EXPRESSION), min_size=1, max_size=4), st.booleans())
def test_no_call_is_silent(statements, outside):
    "Wherever a call stands, something in the graph speaks of it: what it calls, or that nobody knows."
    body = '\n'.join(statements)
    source = 'class Base:\n  def go(self, x=0): return [self]\ndef g(x): return x\nclass C(Base):\n  def go(self, n, m=()):\n'+'\n'.join('    '+line for line in body.split('\n'))+'\n'+body*outside
    try: ast.parse(source)
    except SyntaxError: return
    facts = parse(source.encode(), 'python')
    if facts.errors: return                     # `x = *[n], 1` is beyond the grammar; the file says so
    rows = python_edges(Rows('r', '1.0', 'MIT'), Modules([('r/__init__.py', parse(b'', 'python')), ('r/a.py', facts)]))
    heard = {place>>OFFSET&(1<<OFFSET)-1 for how, place in zip(rows.how, rows.places) if rows.ways[how][0] in ('calls', 'invokes', 'instantiates')}
    assert not SILENT(source.encode(), sorted(heard))[1], source

@settings(max_examples=100, **QUIET)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=30), st.data())
def test_realistic_rank_is_the_mean_over_all_orders_of_ties(scores, data):
    scores, true = np.array(scores, float), data.draw(st.integers(0, len(scores)-1))
    better, equal = (scores>scores[true]).sum(), (scores==scores[true]).sum()
    assert realistic_rank(scores, true, np.zeros(len(scores), bool))==np.mean([better+k for k in range(1, equal+1)])

@settings(max_examples=100, **QUIET)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=80), st.floats(0, 1), st.integers(0, 99))
def test_words_are_hidden_whole_and_only_where_allowed(lengths, rate, seed):
    word = np.repeat(np.arange(len(lengths)), lengths)
    rng = np.random.default_rng(seed)
    free = np.repeat(rng.random(len(lengths))<.8, lengths)
    hidden = mask_words(word, free, rate, MaskConfig(), rng)
    assert not hidden[~free].any()
    for w in range(len(lengths)): assert len(set(hidden[word==w]))==1

EDITS = st.lists(st.tuples(st.sampled_from(('append', 'within', 'rename', 'move', 'delete', 'add', 'break')), st.integers(0, 10**6)), min_size=1, max_size=6)

@settings(max_examples=12, **QUIET)
@given(st.lists(EDITS, min_size=1, max_size=3))
def test_building_again_equals_building_anew(tmp_path_factory, rounds):
    "Whatever is edited, renamed, moved or deleted between builds, the bytes are those of a full build."
    here = tmp_path_factory.mktemp('edits')
    for k, text in enumerate(SOURCES[:6]):
        folder = here/'src'/('one' if k<4 else 'two')/'pkg'
        folder.mkdir(parents=True, exist_ok=True); (folder/'__init__.py').touch(); (folder/f'm{k}.py').write_bytes(text)
        (folder/f'm{k}.java').write_bytes(JAVA[k%len(JAVA)])
    build_to(here/'kg', [here/'src'])
    for number, edits in enumerate(rounds):
        for what, n in edits:
            files = sorted(f for f in (here/'src').rglob('m*') if f.suffix in ('.py', '.java'))
            f = files[n%len(files)]
            if what=='append': f.write_bytes(f.read_bytes()+(b'\ndef more(x): return more(x)\n' if f.suffix=='.py' else b'\nclass More { More more() { return more(); } }\n'))
            elif what=='within': f.write_bytes(f.read_bytes().replace(b') {\n', b') {\n  new String().length();\n', 1+n%9))
            elif what=='break': f.write_bytes(f.read_bytes()[:n%max(1, f.stat().st_size)])
            elif what=='rename': f.rename(f.with_name(f'm{n}{f.suffix}'))
            elif what=='move': f.rename(here/'src'/('one', 'two')[n%2]/'pkg'/f.name)
            elif what=='add': (f.parent/f'm{n}x{f.suffix}').write_bytes((SOURCES if f.suffix=='.py' else JAVA)[n%2])
            elif len(files)>2: f.unlink()
        again, anew = build_to(here/'kg', [here/'src']), build_to(here/f'full{number}', [here/'src'], workers=1+number%2)
        assert again==anew and data_hash(here/'kg')==anew['data_sha256']
        for table in ('entities', 'triples', 'files'):
            parts = {p.name:p.read_bytes() for p in (here/'kg'/table).glob('*.parquet')}
            assert parts=={p.name:p.read_bytes() for p in (here/f'full{number}'/table).glob('*.parquet')}

def test_a_dask_cluster_builds_the_same_bytes(corpus, tmp_path):
    one, many = build_to(tmp_path/'one', [corpus]), build_to(tmp_path/'many', [corpus], workers=2, backend='dask')
    assert one==many and data_hash(tmp_path/'many')==one['data_sha256']
