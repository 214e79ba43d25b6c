"""The style sheet of the page of a run."""

from typing import Final

STYLE: Final = """
:root{--paper:#fff;--text:#1a1a1a;--soft:#5c5c5c;--line:#dcdcdc;--box:#f6f7f8;--link:#005a9c;
--good:#0b6b3a;--goodbg:#e2f4ea;--fair:#7a4b00;--fairbg:#fdf0d5;--bad:#a11212;--badbg:#fde4e4;--none:#555;--nonebg:#ececec}
@media (prefers-color-scheme:dark){:root{--paper:#16181c;--text:#eceef0;--soft:#a4a9b0;--line:#33373d;--box:#1e2126;
--link:#7cc0ff;--good:#7fe0ab;--goodbg:#12382a;--fair:#f5cc7f;--fairbg:#3d3012;--bad:#ff9d9d;--badbg:#451c1f;
--none:#b8bcc2;--nonebg:#2c3036}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--text);font:16px/1.5 system-ui,'DejaVu Sans',Arial,sans-serif}
main{max-width:1120px;margin:0 auto;padding:24px 20px 80px}
h1{font-size:1.7rem;line-height:1.2;margin:8px 0}
h2{font-size:1.3rem;margin:48px 0 8px;border-bottom:2px solid var(--line)}
h3{font-size:1.1rem;margin:0 0 4px}h4{font-size:1rem;margin:0 0 6px}
a{color:var(--link)}header p{color:var(--soft);max-width:70ch}
section{border-top:1px solid var(--line);padding:20px 0 12px}h2+section{border-top:0}
section:target h3{outline:2px solid var(--link);outline-offset:4px}
section>p{max-width:75ch;margin:6px 0}.source{color:var(--soft)}.id{font-family:ui-monospace,monospace}
.note{border-left:4px solid var(--fair);padding-left:10px}
.badge{display:inline-block;padding:0 8px;border-radius:10px;font-size:.82rem;font-weight:600;white-space:nowrap}
.badge.good{color:var(--good);background:var(--goodbg)}.badge.fair{color:var(--fair);background:var(--fairbg)}
.badge.bad{color:var(--bad);background:var(--badbg)}.badge.none{color:var(--none);background:var(--nonebg)}
.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.9rem}
th,td{text-align:left;vertical-align:top;padding:5px 8px;border-bottom:1px solid var(--line)}
thead th{color:var(--soft);font-weight:600;white-space:nowrap}
.summary td[data-name=id],.summary td[data-name=held],.summary td[data-name=class]{white-space:nowrap}
.market th{background:var(--box);font-weight:600;padding-top:8px}
small{color:var(--soft)}.one{padding-left:1em;text-indent:-1em}.one span{color:var(--soft)}
.data{width:auto;font-size:.82rem;font-variant-numeric:tabular-nums}
.data td,.data th{padding:2px 10px}.n{text-align:right}
figure{margin:14px 0}figure svg{display:block;min-width:500px;width:100%;max-width:860px;height:auto}
figcaption{font-size:.82rem;color:var(--soft);margin-top:4px}
.claim{background:var(--box);border-radius:8px;padding:10px 14px;margin:10px 0}
dl{display:grid;grid-template-columns:max-content 1fr;gap:2px 14px;margin:0;font-size:.92rem}
dt{color:var(--soft)}dd{margin:0}
details{margin:10px 0}summary{cursor:pointer;color:var(--link)}
.legend li{margin:4px 0}.legend ul{list-style:none;padding:0}
@media (max-width:640px){main{padding:14px 14px 60px}h1{font-size:1.35rem}
.summary thead{display:none}.summary,.summary tbody{display:block}
.summary tr{display:block;border-bottom:1px solid var(--line);padding:8px 0}.summary tr.market{padding:0}
.summary .market th{display:block}
.summary td{display:block;border:0;padding:1px 8px}
.summary td::before{content:attr(data-name)": ";color:var(--soft)}
.summary td:is([data-name=id],[data-name=result],[data-name=verdict])::before{content:none}
.summary td[data-name=result]{font-weight:600}
dl{grid-template-columns:1fr}dt{margin-top:4px}}
"""
