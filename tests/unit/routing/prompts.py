"""Realistic prompts, and what is to be found in each: code, mathematics, a language."""

from typing import NamedTuple


class Prompt(NamedTuple):
    text: str
    code: bool = False
    maths: bool = False
    language: str | None = "en"


PROMPTS = (
    # Plain questions and tasks.
    Prompt("Hello, how are you today?"),
    Prompt("What is the capital of France?"),
    Prompt("Please summarise the following meeting notes in five bullet points for my manager."),
    Prompt("Write a short story about a lighthouse keeper who finds a letter in a bottle."),
    Prompt("Translate this sentence into German: The weather is lovely and we are going out."),
    Prompt("Should I import a car from Japan, and what is the import duty on it?"),
    Prompt("Select a nice dress from the new collection and describe it for our shop."),
    Prompt("My class is at 9:30 and the return trip is on 12/05/2024. Plan the day for me."),
    Prompt("We are open 24/7, call +49 30 901820 or visit us from 10 - 18 h. Improve this advert."),
    Prompt("Let me know if you need: a passport, a visa and the printed ticket."),
    Prompt("If you want to come:\nbring a friend\nand a bottle of wine.\nWhat is missing here?"),
    Prompt("Prove that you are not a robot by telling me a joke about the sea."),
    Prompt("The price went from $20 to $35 in a year. Why do you think that is?"),
    Prompt("This contract is a derivative of the work of our partner. Can they sue us for it?"),
    Prompt("Our return policy: items can be returned within 30 days. Rewrite it in a warm tone."),
    Prompt("What does the function of the liver have to do with alcohol?"),
    Prompt("She is an integral part of the team; write a letter of recommendation for her."),
    Prompt(
        "Use the following context to answer.\n<context>\nThe office opens at 8.\n</context>\n"
        "<question>When does the office open?</question>"
    ),
    Prompt('Extract the name from this: {"customer": "Ada", "order": 17, "paid": true}'),
    Prompt(
        "Sort these as a table:\n| name | age |\n|---|---|\n| Ada | 36 |\n| Alan | 41 |",
        language=None,
    ),
    Prompt("- buy milk;\n- call the bank;\n- write to the landlord;\nWhich of these is urgent?"),
    Prompt("A => B means that A leads to B. What do you call that in logic, in plain words?"),
    Prompt("Explain the difference between a router and a switch to my grandmother."),
    Prompt("What's the area of law that deals with inheritance in the UK?"),
    Prompt(
        'Reply as JSON:\n```json\n{"sentiment": "positive", "score": 0.9}\n```\nThe text is:'
        " I love it."
    ),
    Prompt(
        "Rate from 1 to 5 how polite this e-mail is, and explain the rating.\n\nDear all,\n\n"
        "could you let me know by Friday?\n\nKind regards,\nTom"
    ),
    # Code.
    Prompt("Fix this:\n```python\ndef add(a, b)\n  return a + b\n```", code=True, language=None),
    Prompt(
        "What does this do?\n```\nfor (let i = 0; i < n; i++) {\n  total += a[i];\n}\n```",
        code=True,
    ),
    Prompt(
        "def fib(n):\n    return n if n < 2 else fib(n - 1) + fib(n - 2)\n\nWhy is it slow?",
        code=True,
    ),
    Prompt(
        "import numpy as np\nimport pandas as pd\n\ndf = pd.read_csv('a.csv')\nprint(df.head())\n"
        "Why does this fail for me?",
        code=True,
    ),
    Prompt("Review: SELECT name, SUM(total) FROM orders WHERE paid = 1 GROUP BY name", code=True),
    Prompt(
        "Why is this slow? select * from orders o join customers c on c.id = o.customer_id",
        code=True,
    ),
    Prompt(
        '#include <stdio.h>\nint main(void) { printf("hi"); return 0; }\nIs this valid C?',
        code=True,
    ),
    Prompt(
        "Explain: const total = items.map(i => i.price * i.count).reduce((a, b) => a + b, 0);",
        code=True,
        language=None,
    ),
    Prompt(
        "public class Foo {\n  private int bar;\n  public int getBar() { return bar; }\n}\n"
        "Write a test for it.",
        code=True,
    ),
    Prompt(
        "Traceback (most recent call last):\n  File \"a.py\", line 3, in <module>\nKeyError: 'x'\n"
        "What is wrong with it?",
        code=True,
    ),
    Prompt('func main() {\n\tfmt.Println("hi")\n}\nHow do I run this?', code=True),
    Prompt("fn main() {\n    let v: Vec<i32> = Vec::new();\n}\nIs this idiomatic?", code=True),
    Prompt('Why is the button not centred? <div class="box"><button>OK</button></div>', code=True),
    Prompt(
        '#!/bin/bash\nset -e\nfor f in *.txt; do\n  mv "$f" "${f%.txt}.md"\ndone\nIs it safe?',
        code=True,
    ),
    Prompt(
        "@@ -1,4 +1,5 @@\n-    return x\n+    return x + 1\nReview this diff for me, please.",
        code=True,
    ),
    Prompt(
        "CREATE TABLE users (id INT PRIMARY KEY, name TEXT); add an index on it for me", code=True
    ),
    Prompt(
        "$ pip install foo\n$ python -m foo\nfoo();\nWhat does this print to the console?",
        code=True,
    ),
    Prompt("useEffect(() => { load(); }, []);\nWhy does this run twice?", code=True),
    Prompt("x = foo(3)\ny = bar(x)\nprint(y)\nWhat is the output of this for the user?", code=True),
    Prompt(
        "from django.db import models\nclass A(models.Model):\n    pass\nWhat is missing?",
        code=True,
    ),
    Prompt(
        "FROM python:3.12\nRUN pip install flask\n```dockerfile\nCOPY . /app\n```\nIs this fine?",
        code=True,
    ),
    Prompt("Write a Python function that reverses a linked list."),  # Asks for code, has none.
    Prompt("Which is better for a web shop, Django or Rails, and why?"),
    # Mathematics.
    Prompt("Solve for x: 3x + 5 = 20", maths=True, language=None),
    Prompt("What is 17 * 23 + 4?", maths=True),
    Prompt("Calculate 12 \u00d7 7.", maths=True, language=None),
    Prompt(r"Evaluate \int_0^1 \frac{x^2}{1+x} dx", maths=True, language=None),
    Prompt("Prove that the square root of two is irrational.", maths=True),
    Prompt("Show that every even number greater than two is the sum of two primes.", maths=True),
    Prompt("What is the derivative of sin(x) with respect to x?", maths=True),
    Prompt("Find the roots of x^2 - 4x + 4 = 0 and explain the steps.", maths=True),
    Prompt("Let $f(x) = x^2 + 1$. Is it convex on the real line?", maths=True),
    Prompt("What are the eigenvalues of the matrix [[2, 1], [1, 2]]?", maths=True),
    Prompt("Simplify: (3 + 4) * (2 - 7) / 5", maths=True, language=None),
    Prompt("If ∑ a_n converges, does ∑ a_n² converge as well?", maths=True),
    Prompt("How many square metres are 20 m²? Our flat is for two people with a dog."),
    Prompt("Write the quadratic formula out in words for my students.", maths=False),
    Prompt("```python\ni = i + 1\nx = y * 2 + 3\n```\nWhat does this do?", code=True),
    Prompt(
        "```python\nimport sympy\n```\nUse it to prove by induction that 1 + 2 + … + n = n(n+1)/2",
        code=True,
        maths=True,
    ),
    # German.
    Prompt(
        "Schreibe bitte eine kurze E-Mail an den Vermieter, weil die Heizung nicht geht.",
        language="de",
    ),
    Prompt("Was ist der Unterschied zwischen einer GmbH und einer AG?", language="de"),
    Prompt("Erkläre mir, warum der Himmel blau ist.", language="de"),
    Prompt("Löse die Gleichung 2x - 7 = 9 und zeige mir den Weg.", maths=True, language="de"),
    Prompt(
        "Beweise, dass es unendlich viele Primzahlen gibt und nicht nur endlich viele.",
        maths=True,
        language="de",
    ),
    Prompt("Berechne 18 * 4 und schreibe das Ergebnis auf.", maths=True, language="de"),
    Prompt(
        'Warum ist das falsch?\n```java\nint x = "a";\n```\nIch verstehe es nicht.',
        code=True,
        language="de",
    ),
    Prompt(
        "Importiere bitte die Adressen aus der Liste und sortiere sie nach dem Ort.", language="de"
    ),
    # French.
    Prompt(
        "Écris une lettre de motivation pour un poste de comptable dans une banque.", language="fr"
    ),
    Prompt("Quelle est la différence entre un virus et une bactérie ?", language="fr"),
    Prompt("Calcule la dérivée de la fonction f(x) = 3x^2 + 2x.", maths=True, language="fr"),
    Prompt(
        "Démontre que la somme de deux entiers pairs est un nombre pair.", maths=True, language="fr"
    ),
    Prompt(
        "Pourquoi est-ce que cette requête est lente : SELECT * FROM clients WHERE nom LIKE '%a%'",
        code=True,
        language="fr",
    ),
    # Chinese, and others by their script.
    Prompt("请用简单的语言解释什么是反向代理。", language="zh"),
    Prompt("帮我写一封请假邮件\uff0c明天要去医院。", language="zh"),
    Prompt("解方程 x^2 - 5x + 6 = 0", maths=True, language="zh"),
    Prompt("证明\uff1a根号二是无理数。", maths=True, language="zh"),
    Prompt("银行要我开一份收入证明\uff0c应该怎么写\uff1f", language="zh"),
    Prompt("这段代码有什么问题\uff1f\n```python\nprint('你好'\n```", code=True, language="zh"),
    Prompt("東京からの行き方を教えてください。", language="ja"),
    Prompt("오늘 날씨가 어때요?", language="ko"),
    Prompt("Напиши короткое письмо коллеге на русском языке.", language="ru"),
    Prompt("Поясни, будь ласка, чим відрізняються ці договори.", language="uk"),
    Prompt("اكتب رسالة قصيرة إلى المدير.", language="ar"),
    Prompt(
        "¿Cuál es la diferencia entre el queso y la mantequilla para una receta?", language="es"
    ),
    Prompt("OK", language=None),
    Prompt("", language=None),
)
