"""README.md is nbs/index.ipynb as Markdown. `--write` makes it; without, exit 1 when it is out of date."""
import re, sys
from pathlib import Path
import nbformat

ROOT = Path(__file__).resolve().parents[1]

def readme()->str:
    "Markdown cells as they are, code cells as console or Python blocks; cells marked `#| hide` or `#| default_exp` are left out."
    parts = []
    for cell in nbformat.read(ROOT/'nbs'/'index.ipynb', as_version=4).cells:
        if cell.cell_type=='markdown': parts.append(cell.source.strip())
        elif not re.match(r'#\|\s*(hide|default_exp)', cell.source):
            parts.append(f'```python\n{cell.source.strip()}\n```')
            for output in cell.outputs:
                data = output.get('data', {})
                if 'text/markdown' in data: parts[-1:] = [''.join(data['text/markdown']).strip()]     # a table speaks for itself
    return '<!-- made from nbs/index.ipynb by `make sync`; edit that -->\n\n'+'\n\n'.join(parts)+'\n'

if __name__=='__main__':
    if '--write' in sys.argv: (ROOT/'README.md').write_text(readme())
    elif (ROOT/'README.md').read_text()!=readme(): sys.exit('README.md is out of step with nbs/index.ipynb: run `make sync`')
