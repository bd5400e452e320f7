# client.py
import math

import pygame
from game import GAME, Chat, Ship, Steer

import netcode as nc

screen = pygame.display.set_mode((960, 600))
frames = pygame.time.Clock()
running = True

with nc.connect("ws://localhost:8080", GAME, name="Ada") as client:

    @client.on(Chat)
    def chat(message: Chat) -> None:
        pygame.display.set_caption(message.text)

    client.send(Chat(text="hello"))
    while running:
        for event in pygame.event.get():
            quits = event.type == pygame.KEYDOWN and event.key == pygame.K_ESCAPE
            running = running and event.type != pygame.QUIT and not quits
        keys = pygame.key.get_pressed()
        turn = keys[pygame.K_RIGHT] - keys[pygame.K_LEFT]
        client.update(Steer(turn=turn, thrust=keys[pygame.K_UP]))  # once a frame; never blocks
        screen.fill((12, 14, 28))
        for ship in client.world[Ship]:  # own ship predicted, others interpolated
            at = pygame.Vector2(480 + ship.x, 300 + ship.y)
            nose = pygame.Vector2(14, 0).rotate(math.degrees(ship.heading))
            colour = (120, 220, 255) if ship.mine else (255, 170, 90)
            pygame.draw.polygon(
                screen, colour, [at + nose, at + nose.rotate(140), at + nose.rotate(-140)]
            )
        pygame.display.flip()
        frames.tick(60)
