"""Expressions that are worth what plain Python says, one by one: builtins, methods, operators, literals, formats."""

# ruff: noqa: E501  # as many as fit on a line

from __future__ import annotations

EXPRESSIONS: tuple[str, ...] = (
    "[x for x in 'abc' if x != 'b']", "{k: v for k, v in [('a', 1), ('a', 2)]}", "[*range(3)]", "(1,)*2+(3,)", "'a' 'b'", "'%' in 'a%'",
    "[1,2,3][-1:]", "'abc'[::-1][0]", "sorted(['b','A','a'])", "sorted([(1,'b'),(1,'a')])", "sorted('hello')", "sorted({'b':1,'a':2})",
    "list({'a':1}.items())", "max('hello')", "min([3,1,2])", "max([1,2],[1,3])", "max({'a':1,'b':2})", "sum([1,2,3])", "sum(range(5))",
    "sum([x for x in range(3)])", "all([])", "any([])", "abs(-5)", "divmod(-7,2)", "pow(2,10)", "pow(2,10,7)", "int('12')", "int(True)", "str(12)",
    "str(True)", "bool('')", "bool([0])", "list('ab')", "tuple('ab')", "list((1,2))", "dict([('a',1)])", "dict(zip('ab',[1,2]))", "len('abc')",
    "len({1:2})", "len({1,2,2})", "ord('a')", "chr(97)", "isinstance(1,int)", "isinstance(True,int)", "isinstance('a',(int,str))", "'a,b'.split(',')",
    "' a b '.split()", "'a-b-c'.split('-',1)", "'-'.join(['a','b'])", "'abc'.replace('b','x')", "'abc'.find('c')", "'abc'.find('z')",
    "'banana'.count('a')", "'banana'.count('ana')", "'abc'.upper()", "'ABC'.lower()", "' x '.strip()", "'xxaxx'.strip('x')", "'abc'.startswith('ab')",
    "'abc'.endswith('bc')", "'123'.isdigit()", "'a'.isdigit()", "b'ab'.hex()", "bytes.fromhex('6162')", "bytes([1,2])", "bytes(3)",
    "(258).to_bytes(2,'big')", "int.from_bytes(b'\\x01\\x02','big')", "b'ab'+b'c'", "b'abc'[1]", "b'abc'[1:]", "list(b'ab')", "b'a' in b'abc'",
    "97 in list(b'a')", "f'{5}'", "f'{5:3}'", "f'{5:03}'", "f'{255:x}'", 'f\'{"a":>3}\'', "f'{1234567:,}'", "f'{-5:05d}'", 'f\'{"ab":^6}|\'',
    "f'{True}'", "f'{None}'", "f'{[1,2][0]}'", 'f\'{"a" + "b"}\'', "f'{3 if True else 4}'", 'f\'{len("abc")}\'', "f'{{}}'", "f'{(1,2)[0]:>4}'",
    "[1,2]+[3]", "[1]*3", "[1,2]==[1,2]", "[1,2]<[1,3]", "1 in [1]", "1 not in [1]", "'b' in 'abc'", "'' in ''", "[] == ()", "() == ()", "1 == True",
    "'a' < 'b'", "'a' == 'a'", "None is None", "None == None", "not []", "not 0", "1 and 2", "0 or 'a'", "1 if [] else 2", "1 < 2 < 3", "1 < 3 < 2",
    "3 > 2 == 2", "-7//2", "-7%2", "7//-2", "7%-2", "2**10", "2**0", "0**0", "(-2)**3", "-2**2", "1<<10", "1024>>3", "-1>>1", "5&3", "5|3", "5^3",
    "~5", "+5", "--5", "not not 1", "10-3-2", "2**3**2", "100//7%5", "1+2*3-4//2", "[[1,2],[3,4]][1][0]", "{'a':{'b':1}}['a']['b']", "(lambda_ := 5)",
    "[y := 1, y + 1]", "[a for a in range(5) if a % 2 == 0]", "[(a,b) for a in range(2) for b in 'xy']", "[[a*b for b in range(3)] for a in range(3)]",
    "{a: a*a for a in range(3)}", "sorted({a % 3 for a in range(9)})", "sum(a*a for a in range(4))", "list(map(str, [1,2]))",
    "list(map(lambda a: a*2, [1,2]))", "list(filter(lambda a: a > 1, [1,2]))", "sorted([3,1,2], key=lambda a: -a)", "sorted([3,1,2], reverse=True)",
    "list(zip([1,2],'ab'))", "list(enumerate('ab'))", "list(enumerate('ab', 1))", "list(reversed([1,2,3]))", "list(range(5,0,-2))", "[*[1],*[2]]",
    "(*[1],)", "max(*[1,2])", "sorted([[2],[1]])", "{}", "{1:'a',2:'b'}", "{True:1}", "{(1,2):3}", "{'a':[1]}['a'][0]", "len(set())",
    "sorted({1,2}|{3})", "sorted({1,2}&{2})", "sorted({1,2}-{2})", "sorted({1,2}^{2,3})", "{1,2}=={2,1}", "1 in {1,2}", "0x10", "0b11", "0o17",
    "1_000", "'\\n'", "'\\t\\\\'", "'\\x41'", "'\\u00e9'", "r'\\n'", "'a'", "b'\\xff'", "'a'*0", "'ab'*-1", "[]*5", "''.join([])", "','.join('abc')",
    "''.split()", "''.split(',')", "'abc'.split('abc')", "'a b'.split(' ')", "'a  b'.split(' ')", "'  a'.split(None, 1)", "[1,2,3].index(2)",
    "[1,1].count(1)", "(1,2).index(2)", "{'a':1}.get('b')", "{'a':1}.get('b',2)", "list({'a':1}.keys())", "list({'a':1}.values())", "{'a':1}.pop('a')",
    "{'a':1}.copy()", "[1,2].copy()", "[3,1].copy()[0]", "(5).bit_length()", "(0).bit_length()", "(-8).bit_length()", "2**254//2**200", "str(2**200)",
    "int('-' + '9'*30)", "-(-5)", "5 .bit_length()", "True + 1", "True & False", "True ^ True", "~True", "-True", "True * 'a'", "[1][False]",
    "'ab'[True]", "list(range(3))[1]", "3 in list(range(5))", "len(range(10))", "sum(range(0))", "list(range(2**70,2**70+2))",
    "[i for i in range(10) if i > 3 if i < 6]", "'\xe9'", "'\u65e5\u672c'", "'\U0001f600'", "len('\U0001f600')", "'\xe9' < 'z'", "'a' + '\xe9'",
    "'\xe9'.encode()", "b'\\xc3\\xa9'.decode()", "'\xe9'*3", "'a\xe9'[1]", "'\xe9a'.replace('\xe9','e')", "sorted('\xe9a')", "ord('\xe9')",
    "chr(0x1F600)", "[None]", "[None, True]", "{'a': None}", "(None,)", "[[]]", "[{}]", "[()]", "''", "b''", "0", "-0", "2**60", "-2**60", "2**53+1",
    "2**64", "-(2**63)-1", "10**30", "True", "False", "None",
    "f'{255:b}'", "f'{255:o}'", "f'{255:X}'", "f'{5:+d}'", "f'{-5:+}'", "f'{5: d}'", "f'{1234567:_}'", "f'{255:_x}'",
    "f'{255:08b}'", "f'{5:>+6}'", "f'{5:*^+7d}'", "f'{True:+d}'", 'f\'{"ab":05}\'', "f'{5:<04}'",
    "f'{-5:06,}'", "f'{1234:+,}'", 'f\'{"a":_<3}\'', "f'{7:_>3}'", 'f\'{"ab":s}\'', "f'{12:-}'",
)  # fmt: skip
