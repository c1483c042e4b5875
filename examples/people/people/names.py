"""What the made-up people are called, and where they live."""

FIRST_NAMES = [
    "Ada", "Alan", "Amélie", "Anna", "Björn", "Carla", "Chloé", "Daniel", "Dóra", "Elena", "Émile", "Fatima",
    "François", "Grace", "Håkon", "Ingrid", "Jakub", "Jose", "José", "Jürgen", "Kofi", "Léa", "Lucía", "Łukasz",
    "Maria", "Mateo", "Maya", "Mehmet", "Nora", "Olga", "Omar", "Paulo", "Priya", "Renée", "Sean", "Siân", "Sofia",
    "Søren", "Tomás", "Uma", "Víctor", "Wei", "Yuki", "Zoë", "美咲", "大輔", "伟", "敏", "Ольга", "Иван", "Ελένη",
    "Γιώργος",
]  # fmt: skip

LAST_NAMES = [
    "Almeida", "Andersson", "Bauer", "Bianchi", "Brown", "Cohen", "Costa", "Dubois", "Eriksson", "Fernández",
    "Fischer", "García", "Green", "Gruber", "Haddad", "Hansen", "Hernández", "Ivanov", "Jansen", "Jensen", "Kaya",
    "Khan", "Kim", "Kovač", "Kowalski", "Lefèvre", "Lindqvist", "López", "Mbeki", "Müller", "Nagy", "Nakamura",
    "Nguyễn", "Novák", "O'Brien", "O'Neill", "Okafor", "Olsen", "Papadopoulos", "Patel", "Pérez", "Rossi",
    "Schröder", "Silva", "Smith", "Søndergaard", "Tanaka", "Thompson", "Virtanen", "Weiß", "Wójcik", "Demir",
    "Zhang", "Öztürk", "Åberg", "佐藤", "鈴木", "Смирнова",
]  # fmt: skip

TITLES = ["", "", "", "", "", "", "", "", ", Jr.", ", PhD"]  # a comma makes a field that is quoted

CITIES = [
    "Amsterdam", "Athína", "Barcelona", "Berlin", "Bogotá", "Brno", "Bruxelles", "Cairo", "Dublin", "Genève",
    "Göteborg", "Istanbul", "Kraków", "København", "Lagos", "Lima", "Lisboa", "London", "Lyon", "Malmö",
    "México, D.F.", "Montréal", "München", "Nairobi", "Napoli", "Oslo", "Paris", "Porto", "Portland, Oregon",
    "Praha", "Reykjavík", "Roma", "São Paulo", 'Springfield, "The Heart"', "Tallinn", "Tōkyō", "Warszawa",
    "Washington, D.C.", "Wien", "Zürich", "北京",
]  # fmt: skip

DOMAINS = ["example.com", "example.org", "mail.example.net", "post.example.eu", "Example.COM"]
