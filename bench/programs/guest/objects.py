"""Objects, dictionaries, strings and calls: what most Python programs do."""


class Account:
    def __init__(self, owner, balance):
        self.owner, self.balance, self.history = owner, balance, []

    def move(self, amount, to):
        if self.balance < amount:
            raise ValueError(self.owner)
        self.balance -= amount
        to.balance += amount
        self.history.append((to.owner, amount))


def main():
    accounts = {"owner%03d" % i: Account("owner%03d" % i, 1000 + i) for i in range(200)}
    names, refused, at = sorted(accounts), 0, 1
    for turn in range(150000):
        at = (at * 1103515245 + 12345) % 2147483648
        giver, taker = accounts[names[at // 65536 % 200]], accounts[names[(at >> 8) % 200]]
        try:
            giver.move(turn % 97, taker)
        except ValueError as e:
            refused += len(e.args[0])
    text = ",".join("%s=%d:%d" % (n, a.balance, len(a.history)) for n, a in accounts.items())
    words = {}
    for part in (text * 20).replace(":", "=").split("="):
        words[part.upper()] = words.get(part.upper(), 0) + 1
    print(refused, text[:200], sorted(words.items(), key=lambda kv: (-kv[1], kv[0]))[:10])


main()
