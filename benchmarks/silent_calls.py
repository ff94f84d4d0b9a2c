"""Does a call leave no trace in the graph? Every call that Python's own parser sees, held against the edges.

    python benchmarks/silent_calls.py FOLDER... [--json]

A call is heard when an edge (`calls`, `invokes`, `instantiates`, unresolved ones among them) has its evidence where the call names what it calls. `super()` is left out: the
language resolves it, and what is called on it has an edge. Of `f(x)(y)` both calls are named by `f`, so the outer one counts as heard where the inner one is. Exit status 1 when more than one call in ten thousand is silent.
"""
import argparse, ast, json, os, sys
from bisect import bisect_left
from itertools import accumulate
from pathlib import Path
from graphmer_se.kg.build import build
from graphmer_se.parsing.corpus import Repository

os.environ.setdefault('GRAPHMER_QUIET','1')

def named(node:ast.expr)->ast.expr:
    "What names the callee: of `f(x)(y)` and `f[T](x)` it is `f`."
    while isinstance(node,(ast.Call,ast.Subscript)): node = node.func if isinstance(node,ast.Call) else node.value
    return node

def silent(source:bytes, heard:list[int])->tuple[int,list[tuple[int,str]]]:
    "How many calls there are, and line and text of those without an edge; `heard`: sorted byte offsets of evidence."
    starts = [0,*accumulate(map(len,source.splitlines(keepends=True)))]
    at = lambda line,column: starts[line-1]+column
    calls,found = 0,[]
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node,ast.Call) or isinstance(node.func,ast.Name) and node.func.id=='super': continue
        calls += 1
        f = named(node.func)
        first,last = at(f.lineno,f.col_offset),at(f.end_lineno,f.end_col_offset)
        if isinstance(f,ast.Attribute): first = last-len(f.attr.encode())
        i = bisect_left(heard,first)
        if i==len(heard) or heard[i]>=last: found.append((node.lineno,source[at(node.lineno,node.col_offset):at(node.end_lineno,node.end_col_offset)][:80].decode(errors='replace')))
    return calls,found

def main():
    p = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    p.add_argument('folders',nargs='+',type=Path); p.add_argument('--json',action='store_true'); p.add_argument('--list',type=int,default=40,help='print so many of them')
    args = p.parse_args()
    sys.setrecursionlimit(20_000)          # sums of a thousand terms
    calls,files,lacking = 0,0,[]
    for folder in args.folders:
        kg = build([Repository(folder.name,'0','unknown',folder)])
        places = kg.evidence()
        places = places[kg.triples.relation.isin(['calls','invokes','instantiates']).to_numpy()[places.triple]]
        heard = {file:sorted(set(g.byte_start)) for file,g in places.groupby('file')}
        for path in sorted(folder.rglob('*.py')):
            try: n,found = silent(path.read_bytes(),heard.get(str(path.relative_to(folder)),[]))
            except (SyntaxError,ValueError): continue          # Python 2, or no source at all
            calls,files = calls+n,files+1
            lacking += [(f'{folder.name}/{path.relative_to(folder)}:{line}',text) for line,text in found]
    share = len(lacking)/max(1,calls)
    if args.json: print(json.dumps(dict(packages=len(args.folders),files=files,calls=calls,silent=len(lacking),share=share),indent=1))
    else:
        print(f'{len(args.folders)} packages, {files:,} files, {calls:,} calls, {len(lacking):,} of them silent ({share:.6f})')
        for where,text in lacking[:args.list]: print(f'  {where}: {text!r}')
    sys.exit(share>1e-4)

if __name__=='__main__': main()
