"""Every export is read back by the library it is made for, and says the same as the tables."""
import csv, json
import networkx as nx
import pytest
from graphmer_se.kg.build import build
from graphmer_se.kg.exports import export
from graphmer_se.kg.store import KnowledgeGraph

@pytest.fixture(scope='module')
def graph(tmp_path_factory)->KnowledgeGraph:
    folder = tmp_path_factory.mktemp('src')/'shop'; folder.mkdir()
    (folder/'shop.py').write_text('"""Quotes " and \\\\ and é\tand\x0c more."""\nimport json\nclass Cart:\n    "Holds <items> & \'things\'."\n    def pay(self): return json.dumps(self.total())\n    def total(self): return unknown()\n')
    (folder/'Shop.java').write_text('package shop;\nimport java.util.List;\n/** "Sold", \\ too. */\nclass Shop { List<String> names; String first() { return names.get(0).trim(); } }\n')
    return build([folder])

@pytest.fixture(scope='module')
def known(graph): return {(t['head'], t['relation'], t['tail']) for t in graph.tables['triples'].to_pylist() if t['status']!='unresolved'}

def test_json_lines(graph, tmp_path):
    export(graph, 'jsonl', tmp_path)
    for name in ('entities', 'triples'): assert [json.loads(line) for line in open(tmp_path/f'{name}.jsonl')]==graph.tables[name].to_pylist()

def test_graphml_and_node_link(graph, known, tmp_path):
    export(graph, 'graphml', tmp_path); export(graph, 'networkx', tmp_path)
    for back in (nx.read_graphml(tmp_path/'graph.graphml', force_multigraph=True), nx.node_link_graph(json.load(open(tmp_path/'graph.json')), edges='edges')):
        assert set(back.nodes)==set(graph.entities.id)
        assert {(h, d['relation'], t) for h, t, d in back.edges(data=True)}==known
        assert dict(back.nodes(data='qualified_name'))==dict(zip(graph.entities.id, graph.entities.qualified_name))

def test_n_triples(graph, known, tmp_path):
    from rdflib import Graph, RDFS
    export(graph, 'ntriples', tmp_path)
    back = Graph().parse(tmp_path/'graph.nt')
    last = lambda uri: str(uri).rsplit('/', 1)[-1]
    assert {(last(s), last(p), last(o)) for s, p, o in back if str(p).startswith('urn:graphmer:relation/')}==known
    assert {last(s):str(o) for s, o in back.subject_objects(RDFS.label)}==dict(zip(graph.entities.id, graph.entities['name']))

def test_pykeen(graph, known, tmp_path):
    from pykeen.triples import TriplesFactory
    export(graph, 'pykeen', tmp_path)
    factory = TriplesFactory.from_path(tmp_path/'triples.tsv')
    assert {tuple(t) for t in factory.triples}==known

def test_neo4j(graph, known, tmp_path):
    export(graph, 'neo4j', tmp_path)
    nodes, edges = (list(csv.DictReader(open(tmp_path/f'{n}.csv', newline=''))) for n in ('nodes', 'relationships'))
    assert {n['id:ID']:(n['qualified_name'], n[':LABEL']) for n in nodes}=={e.id:(e.qualified_name, e.type) for e in graph.entities.itertuples()}
    assert {(e[':START_ID'], e[':TYPE'].lower(), e[':END_ID']) for e in edges}==known
