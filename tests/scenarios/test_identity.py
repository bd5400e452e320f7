"""Who a player is: what the back end has signed counts, and not what the link says."""

from netcode.core.join import Identity
from netcode.testing import SteppedClient, Stepper
from tests.scenarios.small_game import Ship, begin


def join_as(game: Stepper, says: str, identity: Identity | None) -> SteppedClient:
    """Somebody joins who says one name, and of whom signaling knows more."""
    attach = game.host.attach
    game.host.attach = lambda transport: attach(transport, identity)  # type: ignore[method-assign, assignment, misc]
    guest = game.join(says)
    game.host.attach = attach  # type: ignore[method-assign]
    game.run(0.5)
    return guest


def test_the_signed_name_counts_and_not_the_one_that_is_said() -> None:
    game = begin()
    ada = join_as(game, "Ada", Identity("Ada", "account 1", "token 1"))
    eve = join_as(game, "Ada", Identity("Eve", "account 2", "token 2"))
    assert [player.name for player in game.host.guests] == ["Ada", "Eve"]
    assert [player.subject for player in game.host.guests] == ["account 1", "account 2"]
    assert (ada.name, eve.name) == ("Ada", "Eve")
    assert {ship.name for ship in ada.world[Ship]} == {"Ada", "Eve"}


def test_a_signed_name_is_cleaned_like_all_others() -> None:
    game = begin()
    join_as(game, "x", Identity("\u202eeve\u200b", None, "token 1"))
    [player] = game.host.guests
    assert player.name == "eve"
    assert player.subject is None


def test_without_tokens_a_player_is_who_it_says() -> None:
    game = begin()
    join_as(game, "Ada", None)
    [player] = game.host.guests
    assert (player.name, player.subject) == ("Ada", None)


def test_the_same_token_again_takes_the_place_of_who_came_with_it() -> None:
    game = begin()
    bob = join_as(game, "Bob", Identity("Bob", None, "token 2"))
    first = join_as(game, "Ada", Identity("Ada", "account 1", "token 1"))
    ship = game.player_of(first).entities[0]
    second = join_as(game, "Ada", Identity("Ada", "account 1", "token 1"))
    assert "displaced" in str(first.error)
    assert not ship.alive  # the game has heard that the first one left
    assert [player.name for player in game.host.guests] == ["Bob", "Ada"]
    assert second.joined
    assert bob.error is None


def test_another_token_of_the_same_person_is_for_the_game_to_judge() -> None:
    game = begin()
    join_as(game, "Ada", Identity("Ada", "account 1", "token 1"))
    join_as(game, "Ada", Identity("Ada", "account 1", "token 2"))
    assert [player.subject for player in game.host.guests] == ["account 1"] * 2


def test_a_full_game_lets_a_player_back_in() -> None:
    game = begin(max_players=1)
    first = join_as(game, "Ada", Identity("Ada", None, "token 1"))
    second = join_as(game, "Ada", Identity("Ada", None, "token 1"))
    assert first.error is not None
    assert second.joined
    third = join_as(game, "Bob", Identity("Bob", None, "token 2"))
    assert "full" in str(third.error)
