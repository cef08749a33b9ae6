"""What a picture can be of: a tree of concepts, with the words for each in English and in French.

A picture carries one concept. A caption may name it or any concept above it; one that names a concept below it ("trainers", of a
photograph only labelled "Shoes") may be right or wrong, and so may one of a NEAR pair: labels that their own authors mixed up.
Words: English ones are singular|plural, French ones singular|plural|gender; a noun without a singular repeats its plural.
"""
from dataclasses import dataclass

import groceries

GARMENTS = """
clothing   - | clothes|clothes, clothing|clothing, garment|garments | vêtement|vêtements|m, habit|habits|m
tshirt     clothing | t-shirt|t-shirts, tshirt|tshirts, tee|tees, tee shirt|tee shirts | t-shirt|t-shirts|m, tee-shirt|tee-shirts|m, tshirt|tshirts|m
longsleeve clothing | long-sleeved top|long-sleeved tops, longsleeve|longsleeves, long sleeve t-shirt|long sleeve t-shirts, jumper|jumpers, pullover|pullovers | t-shirt à manches longues|t-shirts à manches longues|m, haut à manches longues|hauts à manches longues|m, manches longues|manches longues|f, pull|pulls|m, pull-over|pull-overs|m
sweater    clothing | sweater|sweaters, jumper|jumpers, pullover|pullovers, knitted sweater|knitted sweaters | pull|pulls|m, pull-over|pull-overs|m, chandail|chandails|m, tricot|tricots|m
hoodie     clothing | hoodie|hoodies, hooded sweatshirt|hooded sweatshirts, hoody|hoodies | sweat à capuche|sweats à capuche|m, sweat-shirt à capuche|sweat-shirts à capuche|m, hoodie|hoodies|m
pants      clothing | trousers|trousers, pants|pants, pair of trousers|trousers, jeans|jeans | pantalon|pantalons|m, jean|jeans|m
shorts     clothing | shorts|shorts, pair of shorts|shorts, short pants|short pants | short|shorts|m, bermuda|bermudas|m
shirt      clothing | shirt|shirts, button-up shirt|button-up shirts, dress shirt|dress shirts, button-down shirt|button-down shirts | chemise|chemises|f, chemise à boutons|chemises à boutons|f
dress      clothing | dress|dresses, gown|gowns, frock|frocks | robe|robes|f
skirt      clothing | skirt|skirts | jupe|jupes|f
outwear    clothing | jacket|jackets, coat|coats, outerwear|outerwear, winter jacket|winter jackets | veste|vestes|f, manteau|manteaux|m, blouson|blousons|m
polo       clothing | polo shirt|polo shirts, polo|polos | polo|polos|m, chemise polo|chemises polo|f
undershirt clothing | undershirt|undershirts, tank top|tank tops, vest top|vest tops, sleeveless shirt|sleeveless shirts | débardeur|débardeurs|m, maillot de corps|maillots de corps|m, marcel|marcels|m
blazer     clothing | blazer|blazers, suit jacket|suit jackets, sport coat|sport coats | blazer|blazers|m, veste de costume|vestes de costume|f, veston|vestons|m
body       clothing | bodysuit|bodysuits, baby bodysuit|baby bodysuits, onesie|onesies, romper|rompers | body|bodys|m, body bébé|bodys bébé|m, grenouillère|grenouillères|f
top        clothing | top|tops, women's top|women's tops | haut|hauts|m, top|tops|m
blouse     clothing | blouse|blouses | blouse|blouses|f, chemisier|chemisiers|m
shoes      - | shoe|shoes, footwear|footwear, pair of shoes|pairs of shoes | chaussure|chaussures|f, paire de chaussures|paires de chaussures|f, soulier|souliers|m
sneakers   shoes | sneaker|sneakers, trainer|trainers, canvas shoe|canvas shoes, pair of sneakers|sneakers | basket|baskets|f, tennis|tennis|f, sneaker|sneakers|f
boots      shoes | boot|boots, pair of boots|boots | botte|bottes|f
ankle-boots boots | ankle boot|ankle boots, chelsea boot|chelsea boots, bootie|booties | bottine|bottines|f, boot|boots|f
rain-boots boots | rain boot|rain boots, rubber boot|rubber boots, wellington boot|wellington boots, wellie|wellies | botte de pluie|bottes de pluie|f, botte en caoutchouc|bottes en caoutchouc|f
sandals    shoes | sandal|sandals, pair of sandals|sandals | sandale|sandales|f, nu-pied|nu-pieds|m
pumps      shoes | high heel|high heels, pump|pumps, stiletto|stilettos, high-heeled shoe|high-heeled shoes, heels|heels | escarpin|escarpins|m, talon haut|talons hauts|m, chaussure à talons|chaussures à talons|f
hat        - | hat|hats, headwear|headwear | chapeau|chapeaux|m, couvre-chef|couvre-chefs|m
cap        hat | cap|caps, baseball cap|baseball caps | casquette|casquettes|f
beanie     hat | beanie|beanies, knitted hat|knitted hats, woolly hat|woolly hats, bobble hat|bobble hats | bonnet|bonnets|m, bonnet à pompon|bonnets à pompon|m
sun-hat    hat | sun hat|sun hats, straw hat|straw hats, wide-brimmed hat|wide-brimmed hats | chapeau de soleil|chapeaux de soleil|m, chapeau de paille|chapeaux de paille|m, capeline|capelines|f
bag        - | bag|bags | sac|sacs|m
tote       bag | tote bag|tote bags, tote|totes, shopping bag|shopping bags, canvas bag|canvas bags | sac cabas|sacs cabas|m, cabas|cabas|m, tote bag|tote bags|m
backpack   bag | backpack|backpacks, rucksack|rucksacks, school bag|school bags | sac à dos|sacs à dos|m
handbag    bag | handbag|handbags, purse|purses, leather handbag|leather handbags | sac à main|sacs à main|m
cup        - | cup|cups, drinking cup|drinking cups | tasse|tasses|f
mug        cup | mug|mugs, coffee mug|coffee mugs, coffee cup|coffee cups | mug|mugs|m, tasse à café|tasses à café|f
teacup     cup | teacup|teacups, tea cup|tea cups, cup and saucer|cups and saucers | tasse à thé|tasses à thé|f, tasse et soucoupe|tasses et soucoupes|f
tumbler    cup | travel tumbler|travel tumblers, tumbler|tumblers, travel mug|travel mugs, insulated cup|insulated cups | gobelet isotherme|gobelets isothermes|m, mug isotherme|mugs isothermes|m, gobelet|gobelets|m
lamp       - | lamp|lamps, light|lights | lampe|lampes|f, luminaire|luminaires|m
table-lamp lamp | table lamp|table lamps, bedside lamp|bedside lamps | lampe de table|lampes de table|f, lampe à poser|lampes à poser|f, lampe de chevet|lampes de chevet|f
floor-lamp lamp | floor lamp|floor lamps, standing lamp|standing lamps | lampadaire|lampadaires|m, lampe sur pied|lampes sur pied|f
pendant    lamp | pendant lamp|pendant lamps, pendant light|pendant lights, ceiling lamp|ceiling lamps, hanging lamp|hanging lamps | suspension|suspensions|f, lustre|lustres|m, lampe suspendue|lampes suspendues|f
desk-lamp  lamp | desk lamp|desk lamps, reading lamp|reading lamps, office lamp|office lamps | lampe de bureau|lampes de bureau|f, lampe de lecture|lampes de lecture|f
"""

NEAR = (("longsleeve", "sweater"), ("longsleeve", "hoodie"), ("sweater", "hoodie"), ("shirt", "blouse"),
        ("top", "tshirt"), ("top", "undershirt"), ("top", "blouse"), ("top", "longsleeve"), ("undershirt", "body"), ("blazer", "outwear"),
        ("tshirt", "undershirt"), ("outwear", "hoodie"))

# The labels of the photographs, and the drawn kinds whose name is not their concept's.
CLOTHING_LABELS = {
    "T-Shirt": "tshirt", "Longsleeve": "longsleeve", "Pants": "pants", "Shoes": "shoes", "Shirt": "shirt", "Dress": "dress",
    "Outwear": "outwear", "Shorts": "shorts", "Hat": "hat", "Skirt": "skirt", "Polo": "polo", "Undershirt": "undershirt",
    "Blazer": "blazer", "Hoodie": "hoodie", "Body": "body", "Top": "top", "Blouse": "blouse",
}
DRAWN_KINDS = {"trousers": "pants"}


@dataclass(frozen=True)
class Noun:
    singular: str
    plural: str
    gender: str = ""    # of a French noun


@dataclass(frozen=True)
class Concept:
    name: str
    parent: str
    english: tuple
    french: tuple


def nouns(text):
    return tuple(Noun(*(part.strip() for part in noun.split("|"))) for noun in text.split(","))


def read_table(text):
    for line in text.strip().splitlines():
        head, english, french = line.split(" | ")
        name, parent = head.split()
        yield Concept(name, "" if parent == "-" else parent, nouns(english), nouns(french))


CONCEPTS = {c.name: c for c in (*read_table(GARMENTS), *groceries.concepts(Concept, Noun))}
INDEX = {name: i for i, name in enumerate(CONCEPTS)}


def line_of(name):
    """The concept and all above it, nearest first."""
    while name:
        yield name
        name = CONCEPTS[name].parent


def relation():
    """[caption's concept][picture's concept]: 1 it is one, 0 it is not, -1 it may be."""
    table = [[0] * len(CONCEPTS) for _ in CONCEPTS]
    for name, i in INDEX.items():
        for above in line_of(name):
            table[INDEX[above]][i] = 1
            if above != name:
                table[i][INDEX[above]] = -1
    for a, b in NEAR:
        table[INDEX[a]][INDEX[b]] = table[INDEX[b]][INDEX[a]] = -1
    return table


def of_photo(photo):
    """The concept of a photograph's label, or None where the label says nothing."""
    if photo.source == "clothing":
        return CLOTHING_LABELS.get(photo.label)
    return groceries.slug(photo.label)


def of_drawn(kind):
    return DRAWN_KINDS.get(kind, kind)
